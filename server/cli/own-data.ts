/** The store as the flags ask for it: this server's own, that of a cluster which others may join, or one that it joins. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseServerUrl } from '#api/join/probe.ts'
import { UsageError } from '#base/errors.ts'
import { fetchClusterKeys, type JoinDeps } from '../cluster/join-cluster.ts'
import { hostPort } from '../cluster/membership.ts'
import { openOwnStore, type Attach, type OpenedStore } from '../cluster/open-own-store.ts'
import { diskRoom } from '../replication/log/disk-room.ts'
import type { ServerConfig } from '../server-config.ts'
import { levelOpener } from '../store/open-level.ts'
import { WRITE_BACK, type FlashProfile } from '../store/write-back.ts'
import type { FlagValues } from './flags.ts'
import { text } from './node-config.ts'

/** `--server` as `host:port`; undefined: this server joins nobody. Throws UsageError. */
export function joinedServer(values: FlagValues): string | undefined {
  const server = text(values, 'server')
  if (server === undefined) return undefined
  if (values['cluster-init'] === true) throw new UsageError('--cluster-init: this server joins another one by --server: leave one of the two out')
  const { host, port } = parseServerUrl(server)
  return hostPort(host, port)
}

/** Before the keys are read: a server that has not joined yet gets them from the one that it joins. */
export async function getClusterKeys(values: FlagValues, config: ServerConfig, deps: JoinDeps): Promise<void> {
  const server = text(values, 'server')
  // Once joined it needs nobody to start.
  if (server === undefined || existsSync(databaseOf(config))) return
  await fetchClusterKeys({ server, token: config.token, dataDir: config.dataDir, cluster: config.cluster, port: config.port }, deps)
}

export function storeOpener(values: FlagValues, config: ServerConfig, deps: Omit<JoinDeps, 'signal'>): (attach: Attach) => Promise<OpenedStore> {
  const writeBack = WRITE_BACK[text(values, 'flash-profile') as FlashProfile]
  const directory = join(config.dataDir, 'server')
  return (attach) => openOwnStore({
    ...deps, directory, open: levelOpener(databaseOf(config), writeBack, deps.log.with('store')), writeBack, clusterInit: values['cluster-init'] === true, join: joinedServer(values),
    address: hostPort(config.advertiseAddress, config.port), assertRoom: diskRoom(databaseOf(config)),
  }, attach)
}

/** `--cluster-reset`: what this server has becomes a cluster of one; nothing is started. */
export async function resetCluster(values: FlagValues, config: ServerConfig, deps: Omit<JoinDeps, 'signal'>): Promise<void> {
  const path = text(values, 'cluster-reset-restore-path')
  if (path !== undefined) await (await import('./snapshot.ts')).restore(values, [path])
  const { resetToOneServer } = await import('../cluster/reset.ts')
  const directory = join(config.dataDir, 'server')
  const { servers } = await resetToOneServer({ ...deps, directory, open: levelOpener(databaseOf(config)), address: hostPort(config.advertiseAddress, config.port), assertRoom: diskRoom(databaseOf(config)) })
  process.stdout.write([
    servers > 1 ? `The cluster of ${servers} servers is one of this server alone now.` : 'The cluster is one of this server alone.',
    'Start skiff server without --cluster-reset now. Other servers join it anew with --server and --token, after their <data-dir>/server/db was moved away;', 'until then they must stay stopped.', '',
  ].join('\n'))
}

/** What the embedded store's files take on the disk; for metrics. */
export function storeUsage(config: ServerConfig): { storeBytes?: number } {
  const directory = databaseOf(config)
  try {
    return { storeBytes: readdirSync(directory).reduce((sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0), 0) }
  } catch {
    // Not made yet: the figure is left out.
    return {}
  }
}

const databaseOf = (config: ServerConfig): string => join(config.dataDir, 'server', 'db')
