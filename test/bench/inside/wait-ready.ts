/** Watches a server come up, from outside the process: asks every few milliseconds. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { answer, openApi, parseArguments } from './api.ts'

export interface StartUp { readyzMs: number; nodeReadyMs: number }

const POLL_MS = 5
const TIMEOUT_MS = 30_000

interface NodeList { items: { status: { conditions?: { type: string; status: string }[] } }[] }

const { startedMs, kubeconfig } = parseArguments<{ startedMs: number; kubeconfig: string }>()

/** Milliseconds since the start. Refused connections and 5xx answers are part of coming up: only the last one is told. */
async function until(what: string, holds: () => Promise<boolean>): Promise<number> {
  for (let failure: unknown; ; ) {
    try {
      if (await holds()) return Date.now() - startedMs
    } catch (error) {
      failure = error
    }
    if (Date.now() - startedMs > TIMEOUT_MS) throw new Error(`not within ${TIMEOUT_MS / 1000} s: ${what}`, { cause: failure })
    await sleep(POLL_MS)
  }
}

await until('the kubeconfig is written', () => Promise.resolve(existsSync(kubeconfig)))
const api = openApi(kubeconfig, 1)
const readyzMs = await until('/readyz', async () => (await api.count('/readyz')) > 0)
const nodeReadyMs = await until('the node is Ready', async () => {
  const { items } = await api.ask<NodeList>('GET', '/api/v1/nodes')
  return items.some((n) => n.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'))
})
api.close()
answer({ readyzMs, nodeReadyMs } satisfies StartUp)
