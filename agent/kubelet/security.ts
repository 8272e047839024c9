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
  /** Containers that ask for no profile get the runtime's. */
  seccompDefault: boolean
  /** From volumes that carry a group of their own. */
  extraGroups?: readonly number[]
}

/** The largest id that the kernel lets anyone have. */
const USER_ID_MAX = 2 ** 31 - 1

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
      if (image.uid > USER_ID_MAX) return { ok: false, message: `container has runAsNonRoot and image has an invalid user id (${image.uid}). (Must be 1-(${USER_ID_MAX})): must be between 0 and ${USER_ID_MAX}, inclusive ${where}` }
    }
  }
  const privileged = own.privileged ?? false
  const groups = [...(podContext.supplementalGroups ?? []), ...(podContext.fsGroup === undefined ? [] : [podContext.fsGroup]), ...(input.extraGroups ?? [])]
  const seccomp = seccompOf(own.seccompProfile ?? podContext.seccompProfile ?? (input.seccompDefault ? { type: 'RuntimeDefault' } : undefined), privileged, input.seccompDir)
  if (!seccomp.ok) return seccomp
  const apparmor = appArmorOf(pod, container)
  const selinux = own.seLinuxOptions ?? podContext.seLinuxOptions
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
      ...(apparmor && { apparmor }),
      ...(selinux && { selinux }),
      ...(own.procMount === 'Unmasked' && { maskedPaths: [], readonlyPaths: [] }),
    },
  }
}

/** `NET_ADMIN` and `CAP_NET_ADMIN` are the same; `ALL` stays. */
const capabilities = (list: readonly string[] = []): string[] => [...new Set(list.map((c) => c.toUpperCase().replace(/^CAP_/, '')))]

const APP_ARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/'

/** The container's own word, then the annotation that older objects have, then the pod's; undefined: nobody says anything. */
export function appArmorOf(pod: Pod, { name, securityContext }: Container): SecurityContext['apparmor'] {
  const annotation = pod.metadata?.annotations?.[`${APP_ARMOR_ANNOTATION}${name}`]
  const field = securityContext?.appArmorProfile
  if (!field && annotation !== undefined && annotation !== '') {
    if (annotation === 'unconfined') return { profile: 'Unconfined' }
    return annotation === 'runtime/default' ? { profile: 'RuntimeDefault' } : { profile: 'Localhost', name: annotation.replace(/^localhost\//, '') }
  }
  const profile = field ?? pod.spec?.securityContext?.appArmorProfile
  if (!profile) return undefined
  return profile.type === 'Localhost' ? { profile: 'Localhost', name: profile.localhostProfile ?? '' } : { profile: profile.type === 'Unconfined' ? 'Unconfined' : 'RuntimeDefault' }
}

/** Whether the pod cannot run where there is no AppArmor. */
export function requiresAppArmor(pod: Pod): boolean {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? []), ...(pod.spec?.ephemeralContainers ?? [])]
  return containers.some((c) => (appArmorOf(pod, c)?.profile ?? 'Unconfined') !== 'Unconfined')
}

function seccompOf(profile: { type: string; localhostProfile?: string } | undefined, privileged: boolean, dir: string): { ok: true; profile: SecurityContext['seccomp'] } | { ok: false; message: string } {
  if (privileged || !profile || profile.type === 'Unconfined') return { ok: true, profile: { profile: 'Unconfined' } }
  if (profile.type === 'RuntimeDefault') return { ok: true, profile: { profile: 'RuntimeDefault' } }
  const file = profile.localhostProfile ?? ''
  if (file === '' || file.startsWith('/') || file.split('/').includes('..')) return { ok: false, message: `localhostProfile ${JSON.stringify(file)} must be a path below ${dir}` }
  return { ok: true, profile: { profile: 'Localhost', path: `${dir}/${file}` } }
}
