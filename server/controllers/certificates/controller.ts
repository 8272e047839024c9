/** Wires the certificates controller (upstream's csrapproving, csrsigning and csrcleaner in one). */
import { CERTIFICATE_SIGNING_REQUESTS, NODES, keyOf, type CertificateSigningRequest, type Node } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { certificateEffects, type SigningAuthorities } from './apply.ts'
import { decideCertificate, type CertificateAction, type CertificateView } from './decide.ts'
import { nodeOf, observeCertificate } from './observe.ts'
import { KUBELET_SERVING } from './signers.ts'

export type { SigningAuthorities } from './apply.ts'

export function certificatesController(authorities: SigningAuthorities): ControllerFactory {
  return (deps) => {
    const { client, informers, clock, random } = deps
    const requests = informers.of<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUESTS)
    const nodes = informers.of<Node>(NODES)
    const loop = createLoop<CertificateView, CertificateAction>({
      name: 'certificate-controller',
      observe: (key, signal) => observeCertificate(key, { client, requests, nodes }, signal),
      decide: decideCertificate,
      effects: (view) => certificateEffects(view, { client, clock, random, authorities }),
      isOrdinary,
    }, deps)
    requests.onChange((before, after) => {
      const changed = after ?? before
      if (changed) loop.queue.add(keyOf(changed))
    })
    // A serving certificate waits until the node has told its addresses.
    nodes.onChange((before, after) => {
      if (!after || JSON.stringify(before?.status?.addresses) === JSON.stringify(after.status?.addresses)) return
      for (const csr of requests.list()) if (csr.spec.signerName === KUBELET_SERVING && !csr.status?.certificate && nodeOf(csr) === after.metadata.name) loop.queue.add(keyOf(csr))
    })
    return { name: 'certificate-controller', run: (signal) => loop.run(signal) }
  }
}
