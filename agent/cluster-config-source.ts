/** The cluster's config as this node last read it: from the API, or, while that is away, from disk. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from '#api/client/client.ts'
import { CLUSTER_CONFIG_NAME, CLUSTER_CONFIG_NAMESPACE, parseClusterConfig, type ClusterConfig } from '#api/cluster-config.ts'
import { CONFIG_MAPS, type ConfigMap } from '#api/types/index.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

const RETRY_MS = 1_000
/** With a copy on disk the API gets this many tries before the copy is used. */
const TRIES_WITH_COPY = 2

export async function readClusterConfig(client: Client, dataDir: string, deps: { clock: Clock; log: Log }, signal: AbortSignal): Promise<ClusterConfig> {
  const path = join(dataDir, 'cluster-config.json')
  const copy = await readFile(path, 'utf8').then((text) => JSON.parse(text) as ClusterConfig, () => undefined)
  for (let tries = 1; ; tries++) {
    try {
      const config = parseClusterConfig(await client.get<ConfigMap>(CONFIG_MAPS, CLUSTER_CONFIG_NAME, CLUSTER_CONFIG_NAMESPACE, signal))
      if (JSON.stringify(config) !== JSON.stringify(copy)) await writeFileAtomic(path, JSON.stringify(config))
      return config
    } catch (error) {
      if (signal.aborted) throw error
      if (copy && tries >= TRIES_WITH_COPY) {
        deps.log.warn('the API is away: starting with the cluster configuration of last time', { error: asError(error) })
        return copy
      }
      deps.log[tries === 1 ? 'info' : 'debug']('waiting for the cluster configuration', { error: asError(error) })
      await deps.clock.sleep(RETRY_MS, signal)
    }
  }
}
