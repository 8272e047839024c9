/** `/statusz` and `/flagz` of the kubelet. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { flagz, statusz, ZPAGE_TYPES, zpageAnswer } from '#api/http/zpages.ts'
import { KUBERNETES_MINOR } from '#api/version.ts'
import type { Clock } from '#base/clock.ts'
import type { Random } from '#base/random.ts'
import { PLAIN_PATHS } from './kubelet-routes.ts'

export interface KubeletAbout {
  /** As they hold, without secrets. */
  flags: Readonly<Record<string, string>>
  /** `v1.36.0+skiff...` */
  version: string
  startTimeSeconds: number
  random: Random
}

export async function sendZpage(name: 'statusz' | 'flagz', about: KubeletAbout, clock: Clock, { headers }: IncomingMessage, response: ServerResponse): Promise<void> {
  const page = name === 'flagz' ? flagz(about.flags) : statusz({
    startTimeSeconds: about.startTimeSeconds, nowMs: clock.nowMs(), goVersion: `node${process.versions.node}`, binaryVersion: about.version.replace(/^v/, ''), emulationVersion: `1.${KUBERNETES_MINOR}`, paths: [...PLAIN_PATHS],
  })
  const answer = zpageAnswer('kubelet', page, headers.accept, about.random)
  if (!answer) {
    const message = `only the following media types are accepted: ${ZPAGE_TYPES.join(', ')}`
    response.statusCode = 406
    response.setHeader('content-type', 'application/json')
    response.end(`${JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason: 'NotAcceptable', code: 406 })}\n`)
    return
  }
  response.setHeader('content-type', answer.type === 'text/plain' ? 'text/plain; charset=utf-8' : answer.type)
  if ('warning' in answer && answer.warning !== undefined) response.setHeader('warning', `299 - "${answer.warning}"`)
  if (answer.type === 'text/plain') response.end(answer.text)
  else if (answer.type === 'application/json') response.end(`${JSON.stringify(answer.object)}\n`)
  else response.end((await import('js-yaml')).dump(answer.object, { sortKeys: true }))
}
