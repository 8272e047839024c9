/**
 * Whether a pod may use an image that is here already, or has to show the registry its credentials again (KEP-2535): an image that was pulled with
 * a secret is there for pods that have the secret, one that was pulled without is there for all. Pure.
 */

export const VERIFICATION_POLICIES = ['NeverVerify', 'NeverVerifyPreloadedImages', 'NeverVerifyAllowlistedImages', 'AlwaysVerify'] as const
export type VerificationPolicy = (typeof VERIFICATION_POLICIES)[number]

export interface PullSecret { uid: string; namespace: string; name: string; credentialHash: string }
/** Whose token a credential provider took. */
export interface PullServiceAccount { uid: string; namespace: string; name: string }
export interface PullCredentials { kubernetesSecrets?: readonly PullSecret[]; kubernetesServiceAccounts?: readonly PullServiceAccount[]; nodePodsAccessible?: boolean }
/** Of one image, as upstream keeps it (ImagePulledRecord of kubelet.config.k8s.io): by the name it was pulled under, without tag and digest. */
export interface PulledRecord { imageRef: string; lastUpdatedTime: string; credentialMapping: Readonly<Record<string, PullCredentials>> }

/** Upstream's values of `kubelet_imagemanager_image_mustpull_checks_total`. */
export type AccessResult = 'credentialPolicyAllowed' | 'credentialRecordFound' | 'mustAuthenticate'
/** `learn`: a secret that is as good as one that is known, though its name or content is another. */
export interface Access { result: AccessResult; learn?: PullSecret }

export interface AccessInput {
  policy: VerificationPolicy
  /** Names without tags; those that end in `/*` are beginnings. */
  allowlist: readonly string[]
  image: string
  record: PulledRecord | undefined
  /** A kubelet pulled it, or had begun to. */
  isPulledHere: boolean
  /** The pod's, of those that fit the image. */
  secrets: readonly PullSecret[]
  /** In whose name credential providers tell the pod credentials for the image; see `asksForAccount`. */
  account?: PullServiceAccount | undefined
}

/** Beyond this nothing is learned by looking on: namespaces that come and go must not write for ever. */
const SECRETS_LEARNED_MAX = 100

export function decideAccess({ policy, allowlist, image, record, isPulledHere, secrets, account }: AccessInput): Access {
  if (!isVerified(policy, allowlist, image, isPulledHere)) return { result: 'credentialPolicyAllowed' }
  const known = record?.credentialMapping[repositoryOf(image)]
  if (!known) return { result: 'mustAuthenticate' }
  if (known.nodePodsAccessible) return { result: 'credentialRecordFound' }
  const pulledWith = known.kubernetesSecrets ?? []
  for (const own of secrets) {
    for (const other of pulledWith) {
      const isEqual = own.credentialHash === other.credentialHash
      const isSame = own.uid === other.uid && own.namespace === other.namespace && own.name === other.name
      if (isEqual || isSame) {
        // Changed meanwhile, and there are too many to note it: it is asked for again.
        if (!isEqual && pulledWith.length >= SECRETS_LEARNED_MAX) continue
        return { result: 'credentialRecordFound', ...(!(isEqual && isSame) && pulledWith.length < SECRETS_LEARNED_MAX && { learn: own }) }
      }
    }
  }
  if (account && (known.kubernetesServiceAccounts ?? []).some((other) => isAccount(other, account))) return { result: 'credentialRecordFound' }
  return { result: 'mustAuthenticate' }
}

/** Whether it matters which account the pod has: providers are asked for nothing else. */
export function asksForAccount(image: string, record: PulledRecord | undefined): boolean {
  return (record?.credentialMapping[repositoryOf(image)]?.kubernetesServiceAccounts ?? []).length > 0
}

const isAccount = (a: PullServiceAccount, b: PullServiceAccount): boolean => a.uid === b.uid && a.namespace === b.namespace && a.name === b.name

function isVerified(policy: VerificationPolicy, allowlist: readonly string[], image: string, isPulledHere: boolean): boolean {
  switch (policy) {
    case 'NeverVerify': return false
    case 'NeverVerifyPreloadedImages': return isPulledHere
    case 'NeverVerifyAllowlistedImages': {
      const name = repositoryOf(image)
      return !allowlist.some((entry) => (entry.endsWith('/*') ? name.startsWith(entry.slice(0, -1)) : name === entry))
    }
    case 'AlwaysVerify': return true
  }
}

/** The record with these credentials, the same object where it says so already. Without any: pulled, and nothing is known of how. */
export function withCredentials(record: PulledRecord | undefined, { imageRef, image, credentials, now }: { imageRef: string; image: string; credentials: PullCredentials | undefined; now: string }): PulledRecord {
  const before = record ?? { imageRef, lastUpdatedTime: now, credentialMapping: {} }
  if (!credentials) return before
  const name = repositoryOf(image)
  const known = before.credentialMapping[name]
  const merged = known ? merge(known, credentials) : credentials
  return merged === known ? before : { imageRef, lastUpdatedTime: now, credentialMapping: { ...before.credentialMapping, [name]: merged } }
}

function merge(known: PullCredentials, more: PullCredentials): PullCredentials {
  if (known.nodePodsAccessible) return known
  if (more.nodePodsAccessible) return { nodePodsAccessible: true }
  const secrets = new Map((known.kubernetesSecrets ?? []).map((s) => [keyOf(s), s]))
  const news = (more.kubernetesSecrets ?? []).filter((s) => secrets.get(keyOf(s))?.credentialHash !== s.credentialHash)
  const accounts = known.kubernetesServiceAccounts ?? []
  const newAccounts = (more.kubernetesServiceAccounts ?? []).filter((account) => !accounts.some((other) => isAccount(other, account)))
  if (news.length === 0 && newAccounts.length === 0) return known
  for (const secret of news) secrets.set(keyOf(secret), secret)
  const sorted = <T extends PullServiceAccount>(list: Iterable<T>): T[] => [...list].toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  return {
    ...(secrets.size > 0 && { kubernetesSecrets: sorted(secrets.values()) }),
    ...(accounts.length + newAccounts.length > 0 && { kubernetesServiceAccounts: sorted([...accounts, ...newAccounts]) }),
  }
}

const keyOf = ({ namespace, name, uid }: PullServiceAccount): string => `${namespace}/${name}/${uid}`

/** `reg.example:5000/a/b:1@sha256:...` -> `reg.example:5000/a/b`. */
export function repositoryOf(image: string): string {
  const [named = ''] = image.split('@')
  const colon = named.lastIndexOf(':')
  return colon > named.lastIndexOf('/') ? named.slice(0, colon) : named
}
