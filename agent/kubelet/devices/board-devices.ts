/** Carries out board-rules.ts: looks at /dev when it changes, and gives out what is there. Nothing runs where no rule is set. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { boardDevices, directoriesOf, pathsOfIds, type BoardRule } from './board-rules.ts'
import type { DeviceManager } from './device-manager.ts'
import { NO_GRANT, type DeviceSource } from './source.ts'

export interface BoardDevicesDeps {
  rules: readonly BoardRule[]
  manager: Pick<DeviceManager, 'update'>
  clock: Clock
  log: Log
}

/** Until aborted. Never rejects. */
export async function runBoardDevices({ rules, manager, clock, log }: BoardDevicesDeps, signal: AbortSignal): Promise<void> {
  if (rules.length === 0) return
  const directories = directoriesOf(rules)
  const sources = rules.map((rule) => ({ rule, source: sourceOf(rule, directories), told: undefined as string | undefined }))
  const look = async (): Promise<void> => {
    const there = await deviceNodes(directories)
    for (const entry of sources) {
      const devices = boardDevices(entry.rule, there)
      const ids = devices.map((d) => d.id).join()
      if (ids === entry.told) continue
      if (entry.told !== undefined || ids !== '') log.info('devices of this board', { resource: entry.rule.resource, devices: ids })
      entry.told = ids
      manager.update(entry.source, devices)
    }
  }
  const state = { looking: Promise.resolve() }
  const lookSoon = () => { state.looking = state.looking.then(look).catch((error: unknown) => log.warn('cannot look for devices', { error: asError(error) })) }
  const watch = createDirectoryWatch({ clock, quietMs: 200, quietMsMax: 2_000, onQuiet: lookSoon })
  watch.watch(directories)
  lookSoon()
  await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true }) })
  watch.close()
  await state.looking
}

function sourceOf(rule: BoardRule, directories: readonly string[]): DeviceSource {
  return {
    resource: rule.resource,
    async allocate(ids) {
      const paths = pathsOfIds(rule, ids, await deviceNodes(directories))
      if (paths.length === 0) throw new CodedError('DEVICES_UNAVAILABLE', `${rule.resource} ${ids.join(', ')} has gone`)
      return { ...NO_GRANT, devices: paths.map((path) => ({ containerPath: path, hostPath: path, permissions: 'mrw' })) }
    },
  }
}

async function deviceNodes(directories: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const directory of directories) {
    try {
      for (const name of await readdir(directory)) {
        const path = join(directory, name)
        const info = await stat(path).catch(() => undefined) // A node that went while we looked, or a link to nowhere.
        if (info?.isCharacterDevice() || info?.isBlockDevice()) found.push(path)
      }
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
  return found
}
