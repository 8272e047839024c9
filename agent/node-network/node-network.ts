/**
 * The node's part in the pod network: waits for the node's pod CIDR, makes the network, tells the VTEP's MAC, and
 * keeps the peers in line with the Nodes of the cluster. Until then pods wait: NetworkReady says why.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client, Informers } from '#api/client/client.ts'
import { NODES, type Node, type Stored } from '#api/types/index.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { createNetwork, type Network, type OverlayKind } from '#cni/index.ts'
import type { ContainerRuntime, PodNetwork } from '#cri/index.ts'
import { peersOf, VTEP_MAC_ANNOTATION } from './peers.ts'

export interface NodeNetworkOptions {
  nodeName: string
  nodeIp: string
  clusterCidr: string
  serviceCidr: string
  overlay: OverlayKind
  /** `<data-dir>/agent`. */
  dataDir: string
  client: Client
  informers: Informers
  clock: Clock
  log: Log
  /** Called when the network became ready or failed: the node's status changes. */
  onChange: () => void
}

export interface NodeNetwork {
  /** For the runtime: refuses until the network is there. */
  readonly podNetwork: PodNetwork
  /** Follows the cluster until the signal aborts. `runtime` says which sandboxes still hold an address. */
  run(runtime: Pick<ContainerRuntime, 'listPodSandbox'>, signal: AbortSignal): Promise<void>
  /** Resolves when the bridge is up, which DNS and proxy need, or when `run` has ended without it. */
  readonly ready: Promise<void>
}

const RETRY_MS = 5_000

export function createNodeNetwork(options: NodeNetworkOptions): NodeNetwork {
  const { nodeName, client, clock } = options
  const log = options.log.with('network')
  const nodes = options.informers.of<Node>(NODES)
  const stateDir = join(options.dataDir, 'cni')
  const cidrFile = join(stateDir, 'pod-cidr')
  const ready = Promise.withResolvers<void>()
  let network: Network | undefined
  let waitingFor: string | undefined = 'the node has no pod CIDR yet'

  const usable = (): Network => {
    if (!network) throw new Error(`network is not ready: ${waitingFor ?? 'starting'}`)
    return network
  }

  const begin = async (podCidr: string, runtime: Pick<ContainerRuntime, 'listPodSandbox'>) => {
    const made = createNetwork({ clusterCidr: options.clusterCidr, serviceCidr: options.serviceCidr, podCidr, nodeIp: options.nodeIp, overlay: options.overlay, stateDir }, { log })
    await made.start()
    try {
      await made.retainOnly((await runtime.listPodSandbox({ state: 'ready' })).map((s) => s.id))
    } catch (error) {
      await made.close()
      throw error
    }
    network = made
    waitingFor = undefined
    log.info('pod network is up', { podCidr, overlay: options.overlay })
    ready.resolve()
    options.onChange()
  }

  const tellVtep = async (node: Stored<Node>) => {
    const mac = network?.vtepMac()
    if (mac === undefined || node.metadata.annotations?.[VTEP_MAC_ANNOTATION] === mac) return
    await client.patch(NODES, nodeName, undefined, 'application/merge-patch+json', { metadata: { annotations: { [VTEP_MAC_ANNOTATION]: mac } } })
  }

  return {
    ready: ready.promise,
    podNetwork: {
      setup: async (sandbox) => usable().setup(sandbox),
      teardown: async (sandbox) => network?.teardown(sandbox),
      notReadyReason: () => network?.notReadyReason() ?? waitingFor,
    },
    async run(runtime, signal) {
      await mkdir(stateDir, { recursive: true, mode: 0o700 })
      let podCidr = await readFile(cidrFile, 'utf8').then((t) => t.trim(), () => undefined)
      let changed = Promise.withResolvers<void>()
      const stop = nodes.onChange((before, after) => {
        if (peerFacts(before) !== peerFacts(after)) changed.resolve()
      })
      signal.addEventListener('abort', () => changed.resolve(), { once: true })
      while (!signal.aborted) {
        const wake = changed.promise
        try {
          const own = nodes.get(nodeName)
          const wanted = own?.spec?.podCIDR
          if (wanted !== undefined && wanted !== podCidr) {
            if (network) throw new Error(`the node's pod CIDR changed from ${podCidr ?? 'nothing'} to ${wanted}: drain the node and restart the agent`)
            podCidr = wanted
            await writeFileAtomic(cidrFile, `${wanted}\n`)
          }
          if (!network && podCidr !== undefined) await begin(podCidr, runtime)
          if (network && nodes.hasSynced()) {
            await network.setPeers(peersOf(nodes.list(), nodeName))
            if (own) await tellVtep(own)
          }
          await wake
        } catch (error) {
          waitingFor = network ? undefined : asError(error).message
          log.warn('the pod network is not right yet, will try again', { error: asError(error) })
          options.onChange()
          await clock.sleep(RETRY_MS, signal).catch(() => { /* aborted: the loop ends */ })
        }
        changed = Promise.withResolvers<void>()
        if (signal.aborted) break
      }
      stop()
      // Whoever waits for the network is told that there will be none; the aborted signal says why.
      ready.resolve()
      await network?.close()
    },
  }
}

function peerFacts(node: Stored<Node> | undefined): string {
  return node ? JSON.stringify([node.spec?.podCIDR, node.status?.addresses, node.metadata.annotations?.[VTEP_MAC_ANNOTATION]]) : ''
}
