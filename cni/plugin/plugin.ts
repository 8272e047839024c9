/** The plugin itself: one question from the environment and standard input, to the agent and back to standard output. */
import { connect } from 'node:net'
import { asError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import { CNI_CODE, CNI_VERSION, CNI_VERSIONS, CniFailure, failure, parseQuestion, type CniAnswer } from './protocol.ts'

/** Longer than the network takes for any pod; runtimes give up themselves, too. */
const ANSWER_MS_MAX = 60_000

export interface PluginOutcome { exitCode: 0 | 1; stdout: string }

/** Never rejects: what goes wrong is told as CNI wants it. */
export async function runCniPlugin(environment: Readonly<Record<string, string | undefined>>, stdin: string, clock: Clock): Promise<PluginOutcome> {
  try {
    const { question, socket } = parseQuestion(environment, stdin)
    if (question.command === 'VERSION') return { exitCode: 0, stdout: JSON.stringify({ cniVersion: CNI_VERSION, supportedVersions: CNI_VERSIONS }) }
    const answer = await ask(socket, JSON.stringify(question), clock).catch((error: unknown) => {
      throw failure(question.cniVersion, CNI_CODE.tryAgain, `skiff does not answer at ${socket}: is it running?`, asError(error).message)
    })
    return answer.ok ? { exitCode: 0, stdout: answer.result === undefined ? '' : JSON.stringify(answer.result) } : { exitCode: 1, stdout: JSON.stringify(answer.error) }
  } catch (error) {
    const told = error instanceof CniFailure ? error.error : { cniVersion: CNI_VERSION, code: CNI_CODE.io, msg: asError(error).message }
    return { exitCode: 1, stdout: JSON.stringify(told) }
  }
}

function ask(socketPath: string, line: string, clock: Clock): Promise<CniAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    const chunks: Buffer[] = []
    const cancel = clock.after(ANSWER_MS_MAX, () => socket.destroy(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`)))
    socket.on('connect', () => socket.end(`${line}\n`))
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => {
      cancel()
      try {
        resolve(JSON.parse(Buffer.concat(chunks).toString()) as CniAnswer)
      } catch (error) {
        reject(asError(error))
      }
    })
  })
}
