/** `skiff agent`. */
import { runAgent } from '#agent/agent.ts'
import { UsageError } from '#base/errors.ts'
import { clock, failLoudly, isMachineGoingDown, loadPty, logFor, logFormat, notifyReady, notifyStatus, random, selfCommand, setOomScore, stopSignal, stopTakes, watched } from './environment.ts'
import { keepMemorySmall } from './memory.ts'
import { agentConfig, text } from './node-config.ts'
import { parseNodeFlags } from './node-flags.ts'
import { assertFitForPods, settleKernel } from './preflight.ts'
import { AGENT_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('agent'))
    return 0
  }
  const { values, positionals } = await parseNodeFlags('agent', AGENT_FLAGS, { argv, env: process.env })
  logFormat(values)
  if (positionals.length > 0) throw new UsageError(`skiff agent takes no argument ${JSON.stringify(positionals[0])}; skiff agent --help lists the flags`)
  const server = text(values, 'server')
  if (server === undefined) throw new UsageError('--server is needed: skiff agent --server https://HOST:6443 --token TOKEN')
  const config = agentConfig(values, AGENT_FLAGS, [server.replace(/\/$/, '')], text(values, 'token'))
  assertFitForPods(config.ociRuntime)
  const log = logFor(values)
  failLoudly(log)
  settleKernel(values['protect-kernel-defaults'] === true, log)
  const tellOomScore = setOomScore(Number(values['oom-score-adj']), log)
  const signal = stopSignal(log)
  watched(log, signal)
  const hasStarted = keepMemorySmall({ clock, log, signal })
  notifyStatus(`joining ${config.servers.join(', ')}`, log)
  await runAgent(config, { clock, random, log, unpackCommand: selfCommand('unpack-layer'), cniCommand: selfCommand('cni'), loadPty, isMachineGoingDown, takesTime: (seconds) => stopTakes(seconds, log), onStarted: () => { notifyReady(log); tellOomScore(); hasStarted() } }, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
  log.info('stopped; containers keep running')
  return 0
}
