/** The annotations that said a container's AppArmor profile before there was a field: a new pod gets the field as well (upstream's `applyAppArmorVersionSkew`). */
import type { AppArmorProfile, Container, Pod } from '#api/types/index.ts'
import { validateAppArmor } from './security-context-validation.ts'
import { semanticEqual } from './semantic-equal.ts'

export const APP_ARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/'
export const APP_ARMOR_WARNING = 'deprecated since v1.30; use the "appArmorProfile" field instead'
const LOCAL = 'localhost/'

export function applyAppArmorAnnotations(pod: Pod): void {
  for (const { container, profile } of withoutField(pod)) if (profile) container.securityContext = { ...container.securityContext, appArmorProfile: profile }
}

/** For those that rely on an annotation: once the field is there nobody can see where it came from. */
export const appArmorWarnings = (pod: Pod): string[] => withoutField(pod).map(({ key }) => `metadata.annotations[${key}]: ${APP_ARMOR_WARNING}`)

/** Containers of which an annotation says what no field does. Without a profile: it is nothing that the field could say. */
function withoutField({ metadata, spec }: Pod): { container: Container; key: string; profile: AppArmorProfile | undefined }[] {
  if (!spec || spec.os?.name === 'windows') return []
  const annotations = metadata?.annotations ?? {}
  return [...(spec.initContainers ?? []), ...spec.containers].flatMap((container) => {
    const key = `${APP_ARMOR_ANNOTATION}${container.name}`
    if (!Object.hasOwn(annotations, key) || container.securityContext?.appArmorProfile) return []
    const profile = profileOf(annotations[key] ?? '')
    return profile && semanticEqual(profile, spec.securityContext?.appArmorProfile) ? [] : [{ container, key, profile }]
  })
}

function profileOf(annotation: string): AppArmorProfile | undefined {
  if (annotation === 'unconfined') return { type: 'Unconfined' }
  if (annotation === 'runtime/default') return { type: 'RuntimeDefault' }
  if (!annotation.startsWith(LOCAL)) return undefined
  const profile: AppArmorProfile = { type: 'Localhost', localhostProfile: annotation.slice(LOCAL.length) }
  return validateAppArmor('', profile).length === 0 ? profile : undefined
}
