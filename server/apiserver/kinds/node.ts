/** Nodes. */
import type { Node, Taint } from '#api/types/index.ts'
import { checkLabelValue, checkQualifiedName } from '#api/types/index.ts'
import type { Durability } from '#server/store/store.ts'
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepSpec, keepStatus } from './carry.ts'
import { named, oneOf, positive } from './check.ts'
import { isSameBut } from './heartbeat.ts'
import { validCidr } from './endpoint-ip.ts'
import { familyOf, isCidr } from './ip.ts'
import { TAINT_EFFECTS } from './pod-spec-validation.ts'
import { validateAmount } from './resource-name.ts'
import { cidrWarnings } from './ip-warnings.ts'
import { ageColumn, column, nameColumn, wide } from './table-columns.ts'

const FEATURE_LENGTH_MAX = 253
const FEATURE = /^[A-Z][a-zA-Z0-9]*(\/[a-zA-Z][a-zA-Z0-9]*)*$/

const ROLE_PREFIX = 'node-role.kubernetes.io/'

export const nodeStrategy: KindStrategy<Node> = {
  generation: false,

  defaults(node) {
    if (node.status?.capacity && !node.status.allocatable) node.status.allocatable = { ...node.status.capacity }
    alignCidrs(node)
  },
  prepareCreate(node) {
    node.spec ??= {}
    node.status ??= {}
    // Of configuration that the kubelet no longer takes from the API.
    delete node.spec.configSource
    delete node.status.config
  },
  prepareUpdate(node, old) {
    keepStatus(node, old)
    node.spec ??= {}
  },
  prepareStatusUpdate: keepSpec,

  validate: validateNode,
  validateUpdate: (node, old) => [...validateNode(node), ...validateNodeUpdate(node, old)],
  validateStatusUpdate: validateNodeUpdate,

  warnings: (node) => [
    ...(node.spec?.configSource ? ['spec.configSource: the feature is no longer supported, will be ignored'] : []),
    ...(node.spec?.externalID ? ['spec.externalID: this field is deprecated, and is unused by Kubernetes'] : []),
    ...(node.spec?.podCIDRs ?? []).flatMap((cidr, i) => cidrWarnings(`spec.podCIDRs[${i}]`, cidr)),
  ],

  columns: [
    nameColumn(),
    column('Status', 'The status of the node', statusText),
    column('Roles', 'The roles of the node', rolesText),
    ageColumn(),
    column('Version', 'Kubelet Version reported by the node.', (n) => n.status?.nodeInfo?.kubeletVersion ?? ''),
    wide('Internal-IP', 'List of addresses reachable to the node.', (n) => addressText(n, 'InternalIP')),
    wide('External-IP', 'List of addresses reachable to the node.', (n) => addressText(n, 'ExternalIP')),
    wide('OS-Image', 'OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy)).', (n) => n.status?.nodeInfo?.osImage || '<unknown>'),
    wide('Kernel-Version', "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64).", kernelText),
    wide('Container-Runtime', 'ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).', (n) => n.status?.nodeInfo?.containerRuntimeVersion || '<unknown>'),
  ],
  selectableFields: { 'spec.unschedulable': (n) => String(n.spec?.unschedulable ?? false) },
}

/** What a kubelet says every five minutes though nothing is new: a heartbeat beside its Lease. */
export function nodeDurability(node: Node, old: () => Node | undefined): Durability {
  return isSameBut(old(), node, (n) => ({ ...n, status: { ...n.status, conditions: n.status?.conditions?.map((c) => ({ ...c, lastHeartbeatTime: undefined })) } })) ? 'heartbeat' : 'synced'
}

function validateNode(node: Node): FieldError[] {
  return [...validateTaints('metadata.taints', node.spec?.taints ?? []), ...validateResources(node), ...validateSwap(node), ...validateFeatures(node), ...validateCidrs(node)]
}

/** podCIDR is the first of podCIDRs, whichever of them was written; where they disagree it was an old client's, who knows only the one. */
function alignCidrs(node: Node): void {
  const spec = node.spec ?? {}
  if (spec.podCIDR && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR]
  else if (!spec.podCIDR && spec.podCIDRs?.[0]) spec.podCIDR = spec.podCIDRs[0]
}

function validateCidrs({ spec }: Node): FieldError[] {
  const cidrs = spec?.podCIDRs ?? []
  const at = 'spec.podCIDRs'
  const out = cidrs.flatMap((cidr, i) => validCidr(`${at}[${i}]`, cidr))
  if (cidrs.length < 2) return out
  const bad = cidrs.findIndex((cidr) => !isCidr(cidr))
  if (bad >= 0) out.push({ type: 'InternalError', field: at, message: `Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[${bad}]: <nil> (invalid CIDR address: ${cidrs[bad]})` })
  const families = new Set(cidrs.filter(isCidr).map((cidr) => familyOf(cidr.split('/')[0] ?? '')))
  if (families.size < 2 || cidrs.length > 2) out.push(invalid(at, cidrs, 'may specify no more than one CIDR for each IP family'))
  return out
}

/** What a node has is counted whole where there are no halves. */
function validateResources({ status }: Node): FieldError[] {
  return (['capacity', 'allocatable'] as const).flatMap((list) => Object.entries(status?.[list] ?? {}).flatMap(([name, value]) => validateAmount(`status.${list}.${name}`, name, value)))
}

/** Upstream's path for what is in status.nodeInfo.swap. */
const validateSwap = ({ status }: Node): FieldError[] => positive('metadata.nodeSwapStatus.capacity', status?.nodeInfo?.swap?.capacity)

/** KEP-5328: names in order, each once. */
function validateFeatures({ status }: Node): FieldError[] {
  const features = status?.declaredFeatures ?? []
  return features.flatMap((feature, i) => {
    const at = `status.declaredFeatures[${i}]`
    const out: FieldError[] = []
    if (feature.length > FEATURE_LENGTH_MAX) out.push(invalid(at, feature, `invalid feature name ${JSON.stringify(feature)}: must be no more than ${FEATURE_LENGTH_MAX} characters`))
    else if (!FEATURE.test(feature)) out.push(invalid(at, feature, `invalid feature name ${JSON.stringify(feature)}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes`))
    const before = features[i - 1]
    if (before === undefined || before < feature) return out
    return [...out, before === feature ? duplicate(at, feature) : invalid(at, feature, 'list must be sorted alphabetically')]
  })
}

/** Of the node and of its status alike. Its network can be given once, and so can its provider's name. */
function validateNodeUpdate(node: Node, old: Node): FieldError[] {
  const out = [...validateResources(node), ...validateFeatures(node)]
  const addresses = node.status?.addresses ?? []
  for (const [i, a] of addresses.entries()) if (addresses.findIndex((other) => other.type === a.type && other.address === a.address) < i) out.push(duplicate(`status.addresses[${i}]`, a))
  const [before, after] = [old.spec?.podCIDRs ?? [], node.spec?.podCIDRs ?? []]
  const changed = forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid')
  if (before.length > 0 && before.length !== after.length) out.push(changed)
  else for (const [i, cidr] of before.entries()) if (after[i] !== cidr) out.push(changed)
  if (old.spec?.providerID && node.spec?.providerID !== old.spec.providerID) out.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'))
  out.push(...validateTaints('metadata.taints', node.spec?.taints ?? []))
  if ((node.spec?.externalID ?? '') !== (old.spec?.externalID ?? '')) out.push(forbidden('spec.externalID', 'may not be updated'))
  return out
}

/** Upstream says they are of metadata. */
function validateTaints(at: string, taints: readonly Taint[]): FieldError[] {
  const seen = new Set<string>()
  return taints.flatMap((taint, i) => {
    const here = `${at}[${i}]`
    const out = named(`${here}.key`, taint.key ?? '', checkQualifiedName)
    const problems = checkLabelValue(taint.value ?? '')
    if (problems.length > 0) out.push(invalid(`${here}.value`, taint.value, problems.join(';')))
    if (!taint.effect) out.push(required(`${here}.effect`))
    else out.push(...oneOf(`${here}.effect`, taint.effect, TAINT_EFFECTS))
    const key = `${taint.effect}/${taint.key}`
    if (seen.has(key)) out.push({ ...duplicate(here, taint), message: `${duplicate(here, taint).message}: taints must be unique by key and effect pair` })
    seen.add(key)
    return out
  })
}

function statusText(node: Node): string {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready')
  const status = ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'
  return node.spec?.unschedulable ? `${status},SchedulingDisabled` : status
}

function rolesText(node: Node): string {
  const roles = new Set<string>()
  for (const [key, value] of Object.entries(node.metadata?.labels ?? {})) {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length) roles.add(key.slice(ROLE_PREFIX.length))
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(value)
  }
  return [...roles].sort().join(',') || '<none>'
}

function kernelText({ status }: Node): string {
  const { kernelVersion, architecture } = status?.nodeInfo ?? {}
  return `${kernelVersion || '<unknown>'}${architecture ? ` (${architecture})` : ''}`
}

const addressText = (node: Node, type: string): string => node.status?.addresses?.find((a) => a.type === type)?.address || '<none>'
