/**
 * A node name belongs to the machine that took it first. A joiner sends its own password with its certificate
 * request; the first one is kept (as a hash) in Secret `<node>.node-password.skiff` of kube-system, every later one
 * must match it. The annotation never reaches the store.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { isReason } from '#api/client/client.ts'
import { SECRETS, type CertificateSigningRequest, type Secret } from '#api/types/index.ts'
import { hasCode } from '#base/errors.ts'
import { parseRequest } from '#base/x509/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { PRIVILEGED_GROUP } from './authorizer.ts'

export const NODE_PASSWORD_ANNOTATION = 'skiff.io/node-password'
const KUBELET_CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet'
const NODE_USER_PREFIX = 'system:node:'
const PASSWORD_CHARS_MAX = 256
/** scrypt's cost. Passwords are 128 random bits, so no dictionary helps: 4 MB for some milliseconds is what a board should pay. */
const COST = { N: 4096, r: 8, p: 1 }
const KEY_BYTES = 32

export const nodePasswordPlugin: AdmissionPlugin = {
  name: 'NodePassword',
  async mutate(request, api) {
    if (request.ref.resource !== 'certificatesigningrequests' || request.ref.group !== 'certificates.k8s.io') return undefined
    const password = takePassword(request.object as CertificateSigningRequest | undefined)
    if (request.operation !== 'CREATE' || request.subresource !== '') return undefined
    const node = nodeToProve(request)
    return node === undefined ? undefined : prove(node, password, request, api)
  },
}

/** Removes the annotation and returns what it said. */
function takePassword(csr: CertificateSigningRequest | undefined): string | undefined {
  const annotations = csr?.metadata?.annotations
  const password = annotations?.[NODE_PASSWORD_ANNOTATION]
  if (annotations && password !== undefined) delete annotations[NODE_PASSWORD_ANNOTATION]
  return password
}

/** Undefined: nothing to prove (another signer, a node that renews its own, the cluster's admin; or unreadable, which validation refuses). */
function nodeToProve({ object, user }: AdmissionRequest): string | undefined {
  const { spec } = object as CertificateSigningRequest
  if (spec?.signerName !== KUBELET_CLIENT || typeof spec.request !== 'string') return undefined
  let commonName: string
  try {
    commonName = parseRequest(Buffer.from(spec.request, 'base64').toString('utf8')).subject.commonName
  } catch (error) {
    if (!hasCode(error, 'X509_MALFORMED')) throw error
    return undefined
  }
  if (!commonName.startsWith(NODE_USER_PREFIX) || commonName === user.name || user.groups.includes(PRIVILEGED_GROUP)) return undefined
  return commonName.slice(NODE_USER_PREFIX.length)
}

async function prove(node: string, password: string | undefined, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const name = `${node}.node-password.skiff`
  const refuse = (why: string): Refusal => ({ code: 403, reason: 'Forbidden', message: `certificatesigningrequests.certificates.k8s.io ${JSON.stringify(request.name)} is forbidden: ${why}` })
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(node)) return refuse(`${JSON.stringify(node.slice(0, 60))} cannot be the name of a node`)
  if (password === undefined || password === '') return refuse(`node ${JSON.stringify(node)} must prove its name: annotation ${NODE_PASSWORD_ANNOTATION} is missing`)
  if (password.length > PASSWORD_CHARS_MAX) return refuse(`annotation ${NODE_PASSWORD_ANNOTATION} is longer than ${PASSWORD_CHARS_MAX} characters`)
  const wrong = () => refuse(`node name ${JSON.stringify(node)} is taken by a machine with another password; if this machine has been set up anew, let it in with: kubectl -n kube-system delete secret ${name}`)
  const stored = await readHash(api, name)
  if (stored !== undefined) return (await matches(password, stored)) ? undefined : wrong()
  if (request.dryRun) return undefined
  try {
    await api.client.create<Secret>(SECRETS, {
      apiVersion: 'v1', kind: 'Secret', type: 'skiff.io/node-password', metadata: { name, namespace: 'kube-system' },
      data: { hash: Buffer.from(await hash(password)).toString('base64') },
    })
    return undefined
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error
    // Another request of this name came in between: whoever was first has it.
    return (await matches(password, (await readHash(api, name)) ?? '')) ? undefined : wrong()
  }
}

async function readHash(api: AdmissionApi, name: string): Promise<string | undefined> {
  try {
    const secret = await api.client.get<Secret>(SECRETS, name, 'kube-system')
    return Buffer.from(secret.data?.['hash'] ?? '', 'base64').toString('utf8')
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}

/** `$1:<salt>:<N>:<r>:<p>:<key>`, hex. */
async function hash(password: string): Promise<string> {
  const salt = randomBytes(16)
  return `$1:${salt.toString('hex')}:${COST.N}:${COST.r}:${COST.p}:${(await derive(password, salt, COST)).toString('hex')}`
}

async function matches(password: string, stored: string): Promise<boolean> {
  const match = /^\$1:([0-9a-f]{32}):(\d{1,6}):(\d{1,2}):(\d{1,2}):([0-9a-f]{64})$/.exec(stored)
  if (!match) return false
  const [, salt = '', N, r, p, key = ''] = match
  return timingSafeEqual(await derive(password, Buffer.from(salt, 'hex'), { N: Number(N), r: Number(r), p: Number(p) }), Buffer.from(key, 'hex'))
}

function derive(password: string, salt: Buffer, cost: typeof COST): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, cost, (error, key) => (error ? reject(error) : resolve(key)))
  })
}
