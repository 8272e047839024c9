/** Which of the services that a plugin serves is used, in upstream's words where none can be. Pure. */
import { SERVICES, type Service } from './calls.ts'

const KNOWN = Object.keys(SERVICES)

/** The first of the plugin's own order: it names what it prefers first. */
export function chooseService({ name, endpoint, supportedVersions }: { name: string; endpoint: string; supportedVersions: readonly string[] }): { ok: true; service: Service } | { ok: false; message: string } {
  const service = supportedVersions.find((version): version is Service => KNOWN.includes(version))
  if (service !== undefined) return { ok: true, service }
  const problem = supportedVersions.length === 0 ? 'empty list of supported gRPC services (aka supported versions)' : `none of services supported by the plugin (${quoted(supportedVersions)}) are supported by the kubelet (${quoted(KNOWN)})`
  return { ok: false, message: `invalid supported gRPC versions of DRA driver plugin ${name} at endpoint ${endpoint}: ${problem}` }
}

const quoted = (names: readonly string[]): string => `[${names.map((name) => JSON.stringify(name)).join(' ')}]`
