/** Host devices as a container gets them. A directory stands for every device in it, as containerd has it. */
import { lstatSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import type { ContainerConfig } from '../runtime.ts'
import { deviceOf } from './device-number.ts'
import type { OciDevice } from './oci-spec.ts'

/** Mounted or made by the runtime itself in every container. */
const RUNTIME_OWNED = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.lxd-mounts', '.udev'])

export function requestedDevices(devices: ContainerConfig['devices']): OciDevice[] {
  return devices.flatMap(({ hostPath, containerPath, permissions }) => {
    const found = devicesAt(hostPath, containerPath, permissions || 'rwm')
    if (found.length === 0) throw new CodedError('CRI_INVALID', `error gathering device information while adding custom device "${hostPath}": not a device node`)
    return found
  })
}

/** For privileged containers. */
export function allHostDevices(): OciDevice[] {
  return readdirSync('/dev').filter((name) => !RUNTIME_OWNED.has(name)).flatMap((name) => devicesAt(join('/dev', name), join('/dev', name), 'rwm', true))
}

function devicesAt(hostPath: string, containerPath: string, access: string, lenient = false): OciDevice[] {
  let stat
  try {
    stat = lenient ? lstatSync(hostPath) : statSync(hostPath)
  } catch (error) {
    if (lenient && hasCode(error, 'ENOENT')) return []
    throw new CodedError('CRI_INVALID', `error gathering device information while adding custom device "${hostPath}": no such file or directory`, { cause: error })
  }
  if (stat.isDirectory()) return readdirSync(hostPath).flatMap((name) => devicesAt(join(hostPath, name), join(containerPath, name), access, true))
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return []
  return [{
    path: containerPath, type: stat.isCharacterDevice() ? 'c' : 'b', access, fileMode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid,
    ...deviceOf(BigInt(stat.rdev)),
  }]
}
