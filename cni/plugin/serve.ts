/** The agent's end: answers the plugin with its own pod network, the one that the embedded runtime uses too. */
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Network } from '../network.ts'
import { addResult, CNI_CODE, failure, CniFailure, parseArgs, type CniAnswer, type CniQuestion } from './protocol.ts'

/** A question with all its host ports is far smaller. */
const QUESTION_BYTES_MAX = 256 * 1024

export interface CniServer { close(): Promise<void> }

/** Listens at once; whoever may open the socket (root) may ask. */
export async function serveCni(socketPath: string, network: Pick<Network, 'setup' | 'teardown' | 'notReadyReason'>, log: Log): Promise<CniServer> {
  // Left by an agent that was killed.
  await rm(socketPath, { force: true })
  const server = createServer({ allowHalfOpen: true }, (socket) => { void converse(socket, network, log) })
  await listening(server, socketPath)
  await chmod(socketPath, 0o600)
  return {
    close: () => new Promise((resolve) => { server.close(() => resolve()) }),
  }
}

async function converse(socket: Socket, network: Pick<Network, 'setup' | 'teardown' | 'notReadyReason'>, log: Log): Promise<void> {
  socket.on('error', () => { /* the plugin was killed: its runtime asks again */ })
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > QUESTION_BYTES_MAX) return void socket.destroy()
      chunks.push(chunk)
    }
  } catch {
    return // The plugin was killed.
  }
  socket.end(`${JSON.stringify(await answerTo(Buffer.concat(chunks).toString(), network, log))}\n`)
}

async function answerTo(line: string, network: Pick<Network, 'setup' | 'teardown' | 'notReadyReason'>, log: Log): Promise<CniAnswer> {
  let question: CniQuestion
  try {
    question = JSON.parse(line) as CniQuestion
  } catch {
    return { ok: false, error: { cniVersion: '0.4.0', code: CNI_CODE.decode, msg: 'the question is not JSON' } }
  }
  try {
    return { ok: true, result: await act(question, network) }
  } catch (error) {
    if (error instanceof CniFailure) return { ok: false, error: error.error }
    log.warn('a pod has no network', { command: question.command, sandbox: question.containerId, error: asError(error) })
    return { ok: false, error: { cniVersion: question.cniVersion, code: CNI_CODE.tryAgain, msg: asError(error).message } }
  }
}

async function act(question: CniQuestion, network: Pick<Network, 'setup' | 'teardown' | 'notReadyReason'>): Promise<object | undefined> {
  const { command, containerId: id, netns, cniVersion } = question
  switch (command) {
    case 'ADD': {
      if (id === '' || netns === '') throw failure(cniVersion, CNI_CODE.environment, 'ADD needs CNI_CONTAINERID and CNI_NETNS')
      const args = parseArgs(question.args)
      const { ips } = await network.setup({
        id, netnsPath: netns, podName: args.get('K8S_POD_NAME') ?? '', podNamespace: args.get('K8S_POD_NAMESPACE') ?? '', podUid: args.get('K8S_POD_UID') ?? '',
        // Without a port on the host there is nothing to map: containerd passes them all.
        portMappings: question.portMappings.filter((p) => p.hostPort > 0),
      })
      return addResult(question, ips)
    }
    case 'DEL':
      await network.teardown({ id, netnsPath: netns === '' ? undefined : netns })
      return undefined
    case 'CHECK':
    case 'GC':
      return undefined
    case 'STATUS': {
      const reason = network.notReadyReason()
      if (reason !== undefined) throw failure(cniVersion, CNI_CODE.notAvailable, reason)
      return undefined
    }
    default:
      throw failure(cniVersion, CNI_CODE.environment, `unknown CNI_COMMAND ${JSON.stringify(command)}`)
  }
}

function listening(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new Error(`cannot listen on ${socketPath}: ${error.message}`, { cause: error })))
    server.listen(socketPath, resolve)
  })
}
