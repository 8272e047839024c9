/** How a row of the table of kinds is written down. */
import type { KubeObject, ResourceRef } from '#api/types/index.ts'
import type { KindContext, KindRow, KindStrategy } from '../kind.ts'
import { fillRequired } from '../kinds/fill-required.ts'
import { type MetaRules, validateMeta, validateMetaUpdate } from '../kinds/object-meta.ts'

export interface RowOptions {
  short?: readonly string[]
  /** Kinds that `kubectl get all` lists have `all`. */
  categories?: readonly string[]
  sub?: readonly string[]
  scale?: KindRow['scale']
  singular?: string
  model?: string
  durability?: KindRow['durability']
  ttlSeconds?: number
  storedAs?: KindRow['storedAs']
  verbs?: readonly string[]
  warning?: string
}

export function row<T extends KubeObject>(ref: ResourceRef, strategy: KindStrategy<T>, options: RowOptions = {}): KindRow {
  return {
    ref,
    model: options.model ?? ref.kind,
    singular: options.singular ?? ref.kind.toLowerCase(),
    shortNames: options.short ?? [],
    categories: options.categories ?? [],
    subresources: options.sub ?? [],
    strategy: withCommonRules(ref, options.model ?? ref.kind, strategy as unknown as KindStrategy<KubeObject>),
    ...(options.verbs && { verbs: options.verbs }),
    ...(options.scale && { scale: options.scale }),
    ...(options.durability && { durability: options.durability }),
    ...(options.ttlSeconds !== undefined && { ttlSeconds: options.ttlSeconds }),
    ...(options.storedAs && { storedAs: options.storedAs }),
    ...(options.warning !== undefined && { warning: options.warning }),
  }
}

/**
 * Older versions of a kind whose shape is that of `newest`: kept under its keys, in its form, by its rules. Newest first in
 * `versions`, as discovery lists them.
 */
export function sameShape(newest: KindRow, versions: readonly string[], deprecated: Readonly<Record<string, Deprecated>> = {}): KindRow[] {
  return versions.map((version) => ({
    ...newest,
    ref: { ...newest.ref, version },
    model: `${capital(version)}${newest.ref.kind}`,
    ...(deprecated[version] && { warning: deprecationWarning({ ...newest.ref, version }, deprecated[version]) }),
    storedAs: { ref: newest.ref, model: newest.model, toStored: same, fromStored: same },
  }))
}

/** Minor releases of upstream. */
export interface Deprecated { since: number; gone: number; /** `storage.k8s.io/v1 VolumeAttributesClass`, where upstream names one. */ use?: string }

/** Sent with every answer. */
export function deprecationWarning({ group, version, kind }: ResourceRef, { since, gone, use }: Deprecated): string {
  return `${group}/${version} ${kind} is deprecated in v1.${since}+, unavailable in v1.${gone}+${use === undefined ? '' : `; use ${use}`}`
}

const same = (object: KubeObject): KubeObject => object
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Upstream checks their metadata by apimachinery alone, which knows of no standard finalizers. */
const PLAIN_FINALIZERS: ReadonlySet<string> = new Set(['admissionregistration.k8s.io', 'apiextensions.k8s.io', 'apiregistration.k8s.io', 'coordination.k8s.io'])

/** What Go's types give every object, and metadata, checked first, as upstream orders its complaints. */
function withCommonRules(ref: ResourceRef, model: string, strategy: KindStrategy<KubeObject>): KindStrategy<KubeObject> {
  const finalizers = strategy.finalizers ?? (PLAIN_FINALIZERS.has(ref.group) ? 'plain' : undefined)
  const rules: MetaRules = { namespaced: ref.namespaced, nameRule: strategy.nameRule ?? 'dns-subdomain', ...(strategy.generateNameRule && { generateNameRule: strategy.generateNameRule }), ...(finalizers === 'plain' && { finalizers }) }
  const metaOfStatus = (object: KubeObject, old: KubeObject) => (strategy.statusKeepsMetadata === true ? [] : validateMetaUpdate(object.metadata ?? {}, old.metadata ?? {}, finalizers && 'plain'))
  return {
    ...strategy,
    defaults(object: KubeObject) {
      fillRequired(model, object)
      strategy.defaults?.(object)
    },
    prepareCreate(object: KubeObject, ctx: KindContext) {
      strategy.prepareCreate?.(object, ctx)
      fillRequired(model, object)
    },
    validate: (object: KubeObject, ctx: KindContext) => [...validateMeta(object.metadata ?? {}, rules), ...(strategy.validate?.(object, ctx) ?? [])],
    validateUpdate: (object: KubeObject, old: KubeObject, ctx: KindContext) => [...validateMetaUpdate(object.metadata ?? {}, old.metadata ?? {}, rules.finalizers), ...(strategy.validateUpdate?.(object, old, ctx) ?? [])],
    validateStatusUpdate: (object: KubeObject, old: KubeObject, ctx: KindContext) => [...metaOfStatus(object, old), ...(strategy.validateStatusUpdate?.(object, old, ctx) ?? [])],
  }
}

/** A resource of one group version; `kind` and whether it lives in namespaces. */
export function refsOf(group: string, version: string): (resource: string, kind: string, namespaced?: boolean) => ResourceRef {
  return (resource, kind, namespaced = true) => ({ group, version, resource, kind, namespaced })
}

export const SCALE = { specPath: '.spec.replicas', statusPath: '.status.replicas', selectorPath: '.spec.selector' }
export const ALL = ['all']
