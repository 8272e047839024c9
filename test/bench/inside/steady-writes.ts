/**
 * Asks every server of a cluster for a write every few milliseconds, whatever became of the one before, and prints each that
 * was accepted: `{"server", "askedMs", "acceptedMs"}`, wall clock. A line on its stdin asks for the leader: `{"leader": HOST:PORT}`.
 */
import { request } from 'node:https'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { openApi, parseArguments } from './api.ts'
import { CONFIG_MAPS, configMap } from './objects.ts'

const ASK_EVERY_MS = 10
/** Asked and not answered yet, a server. */
const WAITING_MAX = 40

const { kubeconfig, servers, token } = parseArguments<{ kubeconfig: string; servers: string[]; token: string }>()
const nowMs = (): number => performance.timeOrigin + performance.now()

for (const [at, server] of servers.entries()) void askSteadily(at, server)
createInterface({ input: process.stdin }).on('line', () => {
  void leaderOf().then((leader) => console.log(JSON.stringify({ leader })))
}).on('close', () => process.exit(0))

async function askSteadily(at: number, server: string): Promise<void> {
  const api = openApi(kubeconfig, WAITING_MAX, server)
  let waiting = 0
  for (let n = 0; ; n++) {
    if (waiting < WAITING_MAX) {
      waiting++
      const askedMs = nowMs()
      void api.ask('POST', CONFIG_MAPS, configMap(`steady-${at}-${n}`, { n: String(n) })).then(
        () => console.log(JSON.stringify({ server, askedMs, acceptedMs: nowMs() })),
        () => { /* not accepted: the next one is on its way */ },
      ).finally(() => { waiting-- })
    }
    await sleep(ASK_EVERY_MS)
  }
}

/** What a server answers that is asked to take in a member which is one already: all is well, or who leads. */
async function leaderOf(): Promise<string | undefined> {
  for (const server of servers) {
    const api = openApi(kubeconfig, 1, server)
    try {
      const { data } = await api.ask<{ data: Record<string, string> }>('GET', '/api/v1/namespaces/kube-system/configmaps/skiff-servers')
      const [id = '', entry = ''] = Object.entries(data)[0] ?? []
      const { name, address } = JSON.parse(entry) as { name: string; address: string }
      const { status, text } = await askForMember(server, { member: Number(id), name, address })
      if (status === 200) return new URL(server).host
      const { leader } = JSON.parse(text) as { leader?: string }
      if (status === 421 && leader !== undefined) return leader
    } catch {
      // It is down, or knows no leader: the next one may.
    } finally {
      api.close()
    }
  }
  return undefined
}

function askForMember(server: string, member: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(member)
    const secret = token.slice(token.lastIndexOf('::') + 2)
    const req = request(`${server}/skiff/v1/members`, { method: 'POST', agent: false, rejectUnauthorized: false, timeout: 2_000, headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', 'content-length': body.length } }, (res) => {
      let text = ''
      res.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => resolve({ status: res.statusCode ?? 0, text })).on('error', reject)
    })
    req.on('timeout', () => req.destroy(new Error('no answer')))
    req.on('error', reject)
    req.end(body)
  })
}
