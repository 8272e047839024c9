/** Makes the kernel forget UDP flows that lead to endpoints gone, or past endpoints that have come. */
import type { Exec } from '#cni/index.ts'
import type { Log } from '#base/log.ts'

export interface Flows {
  /** `ip port` a client sends to; `*` for any address (node ports). */
  fronts: Set<string>
  /** `ip port` of endpoints that are gone. */
  backends: Set<string>
}

export async function forgetFlows(exec: Exec, flows: Flows, log: Log): Promise<void> {
  const commands = [
    ...[...flows.fronts].map((front) => {
      const [ip = '', port = ''] = front.split(' ')
      return ['conntrack', '-D', '-p', 'udp', ...(ip === '*' ? [] : ['--orig-dst', ip]), '--orig-port-dst', port]
    }),
    ...[...flows.backends].map((backend) => {
      const [ip = '', port = ''] = backend.split(' ')
      return ['conntrack', '-D', '-p', 'udp', '--reply-src', ip, '--reply-port-src', port]
    }),
  ]
  for (const argv of commands) {
    try {
      const result = await exec(argv)
      if (result.code !== 0 && !/0 flow entries/.test(result.stderr)) log.warn('cannot delete UDP flows', { argv, stderr: result.stderr.trim().slice(0, 200) })
    } catch (error) {
      log.debug('no conntrack tool: UDP flows to endpoints that are gone end by their timeout (30 s idle)', { error })
      return
    }
  }
}
