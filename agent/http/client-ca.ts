/** The authority of the cluster's client certificates, as servers publish it for extension API servers; a copy on disk serves while they are away. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client } from '#api/client/client.ts'
import { CONFIG_MAPS, type ConfigMap } from '#api/types/index.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

const RETRY_MS = 30_000

/** PEM; undefined: the cluster tells of none, so that only tokens prove who somebody is. */
export async function readClientCa(client: Pick<Client, 'get'>, dataDir: string, { clock, log }: { clock: Clock; log: Log }, signal: AbortSignal): Promise<string | undefined> {
  const path = join(dataDir, 'client-ca.crt')
  const copy = await readFile(path, 'utf8').catch(() => undefined)
  for (let failures = 0; ; failures++) {
    try {
      const pem = (await client.get<ConfigMap>(CONFIG_MAPS, 'extension-apiserver-authentication', 'kube-system', signal)).data?.['client-ca-file']
      if (pem !== undefined && pem !== copy) await writeFileAtomic(path, pem)
      return pem
    } catch (error) {
      if (signal.aborted || copy !== undefined) return copy
      log[failures === 0 ? 'info' : 'debug']('waiting for the authority of client certificates before the kubelet API is served', { error: asError(error) })
      await clock.sleep(RETRY_MS, signal).catch(() => {}) // Aborted: the next turn returns.
    }
  }
}
