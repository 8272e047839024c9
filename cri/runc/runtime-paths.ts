/** Where everything lies, so that no path is put together twice. */
import { join } from 'node:path'

export interface RuntimePaths {
  dataDir: string
  stateDir: string
  sandboxRecords: string
  containerRecords: string
  /** Runtime state of runc or crun. */
  ociRoot: string
  /** conmon writes `<id>` here when a container has exited. */
  exits: string
  netns(id: string): string
  sandbox(id: string): { dir: string; uts: string; ipc: string; user: string; shm: string; resolvConf: string; hostname: string }
  container(id: string): {
    /** OCI bundle, pid files, attach socket, control fifo; gone after a reboot. */
    bundle: string
    rootfs: string
    /** Where layers and volumes of a container with its own users are shown with its ids. */
    shiftedLayers: string
    shiftedMounts: string
    /** Where its image volumes are mounted. */
    imageVolumes: string
    config: string
    pidFile: string
    conmonPidFile: string
    attach: string
    control: string
    /** conmon's `oom` file appears here. */
    persist: string
    /** There from before conmon is started until the record says running. */
    starting: string
    /** Writable layer, on disk. */
    writable: string
    upper: string
    work: string
  }
}

export function runtimePaths(dataDir: string, stateDir: string): RuntimePaths {
  return {
    dataDir, stateDir,
    sandboxRecords: join(dataDir, 'sandboxes'),
    containerRecords: join(dataDir, 'containers'),
    ociRoot: join(stateDir, 'oci'),
    exits: join(stateDir, 'exits'),
    netns: (id) => join(stateDir, 'netns', id),
    sandbox(id) {
      const dir = join(stateDir, 'sandboxes', id)
      return { dir, uts: join(dir, 'uts'), ipc: join(dir, 'ipc'), user: join(dir, 'user'), shm: join(dir, 'shm'), resolvConf: join(dir, 'resolv.conf'), hostname: join(dir, 'hostname') }
    },
    container(id) {
      const bundle = join(stateDir, 'containers', id)
      const writable = join(dataDir, 'writable', id)
      return {
        bundle, rootfs: join(bundle, 'rootfs'), shiftedLayers: join(bundle, 'layers'), shiftedMounts: join(bundle, 'mounts'), imageVolumes: join(bundle, 'images'), config: join(bundle, 'config.json'), pidFile: join(bundle, 'pid'), conmonPidFile: join(bundle, 'conmon.pid'),
        attach: join(bundle, 'attach'), control: join(bundle, 'ctl'), persist: join(bundle, 'persist'), starting: join(bundle, 'starting'),
        writable, upper: join(writable, 'upper'), work: join(writable, 'work'),
      }
    },
  }
}
