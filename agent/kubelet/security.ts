/** From the pod's and the container's security contexts to the runtime's: the container's own word wins. Pure. */
import type { Container, Pod } from '#api/types/index.ts'
import type { Image, SecurityContext } from '#cri/index.ts'

export type SecurityResult = { ok: true; security: SecurityContext } | { ok: false; message: string }

export interface SecurityInput {
  pod: Pod
  container: Container
  image: Pick<Image, 'uid' | 'username'>
  /** As messages name it: `web_default(uid)`. */
  podText: string
  /** Where localhost seccomp profiles are: `<data-dir>/agent/seccomp`. */
  seccompDir: string
  /** From volumes that carry a group of their own. */
  extraGroups?: readonly number[]
}

export function containerSecurity(input: SecurityInput): SecurityResult {
  const { pod, container, image } = input
  const podContext = pod.spec?.securityContext ?? {}
  const own = container.securityContext ?? {}
  const runAsUser = own.runAsUser ?? podContext.runAsUser
  const runAsGroup = own.runAsGroup ?? podContext.runAsGroup
  const where = `(pod: "${input.podText}", container: ${container.name})`
  if (own.runAsNonRoot ?? podContext.runAsNonRoot) {
    if (runAsUser === 0) return { ok: false, message: `container's runAsUser breaks non-root policy ${where}` }
    if (runAsUser === undefined) {
      if (image.uid === undefined && image.username) return { ok: false, message: `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}` }
      if (image.uid === undefined || image.uid === 0) return { ok: false, message: `container has runAsNonRoot and image will run as root ${where}` }
    }
  }
  const privileged = own.privileged ?? false
  const groups = [...(podContext.supplementalGroups ?? []), ...(podContext.fsGroup === undefined ? [] : [podContext.fsGroup]), ...(input.extraGroups ?? [])]
  const seccomp = seccompOf(own.seccompProfile ?? podContext.seccompProfile, privileged, input.seccompDir)
  if (!seccomp.ok) return seccomp
  return {
    ok: true,
    security: {
      privileged,
      readonlyRootfs: own.readOnlyRootFilesystem ?? false,
      ...(runAsUser !== undefined && { runAsUser }),
      ...(runAsUser === undefined && image.uid !== undefined && { runAsUser: image.uid }),
      ...(runAsUser === undefined && image.uid === undefined && image.username !== undefined && image.username !== '' && { runAsUsername: image.username }),
      ...(runAsGroup !== undefined && { runAsGroup }),
      supplementalGroups: [...new Set(groups)],
      ...(podContext.supplementalGroupsPolicy === 'Strict' && { supplementalGroupsPolicy: 'Strict' }),
      addCapabilities: capabilities(own.capabilities?.add),
      dropCapabilities: capabilities(own.capabilities?.drop),
      noNewPrivs: own.allowPrivilegeEscalation === false && !privileged,
      seccomp: seccomp.profile,
      ...(own.procMount === 'Unmasked' && { maskedPaths: [], readonlyPaths: [] }),
    },
  }
}

/** `NET_ADMIN` and `CAP_NET_ADMIN` are the same; `ALL` stays. */
const capabilities = (list: readonly string[] = []): string[] => [...new Set(list.map((c) => c.toUpperCase().replace(/^CAP_/, '')))]

function seccompOf(profile: { type: string; localhostProfile?: string } | undefined, privileged: boolean, dir: string): { ok: true; profile: SecurityContext['seccomp'] } | { ok: false; message: string } {
  if (privileged || !profile || profile.type === 'Unconfined') return { ok: true, profile: { profile: 'Unconfined' } }
  if (profile.type === 'RuntimeDefault') return { ok: true, profile: { profile: 'RuntimeDefault' } }
  const file = profile.localhostProfile ?? ''
  if (file === '' || file.startsWith('/') || file.split('/').includes('..')) return { ok: false, message: `localhostProfile ${JSON.stringify(file)} must be a path below ${dir}` }
  return { ok: true, profile: { profile: 'Localhost', path: `${dir}/${file}` } }
}
