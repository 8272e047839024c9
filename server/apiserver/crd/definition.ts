/** A CustomResourceDefinition as this folder handles it: without its schemas, which are large and read when they are first needed. */
import type { CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames, CustomResourceDefinitionVersion, JSONSchemaProps, ResourceRef } from '#api/types/index.ts'

export const CRDS: ResourceRef = { group: 'apiextensions.k8s.io', version: 'v1', resource: 'customresourcedefinitions', kind: 'CustomResourceDefinition', namespaced: false }
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io'

export interface Definition {
  name: string
  uid: string
  generation: number
  resourceVersion: number
  deletionTimestamp: string | undefined
  finalizers: readonly string[]
  annotations: Readonly<Record<string, string>>
  group: string
  scope: string
  names: CustomResourceDefinitionNames
  versions: readonly CustomResourceDefinitionVersion[]
  conversion: NonNullable<CustomResourceDefinition['spec']['conversion']> | undefined
  preserveUnknownFields: boolean
  status: NonNullable<CustomResourceDefinition['status']>
  /** Unpacks the stored definition each time. */
  readonly schemaOf: (version: string) => JSONSchemaProps | undefined
}

/** `value`: as stored. It is kept (and shared with the watch cache), its schemas are not. */
export function parseDefinition(value: Buffer, resourceVersion: number): Definition {
  const { metadata = {}, spec, status = {} } = JSON.parse(value.toString()) as CustomResourceDefinition
  return {
    name: metadata.name ?? '', uid: metadata.uid ?? '', generation: metadata.generation ?? 1, resourceVersion,
    deletionTimestamp: metadata.deletionTimestamp, finalizers: metadata.finalizers ?? [], annotations: metadata.annotations ?? {},
    group: spec.group, scope: spec.scope, names: spec.names, versions: spec.versions.map(({ schema: _schema, ...version }) => version),
    conversion: spec.conversion, preserveUnknownFields: spec.preserveUnknownFields ?? false, status,
    schemaOf(version) {
      const { spec: whole } = JSON.parse(value.toString()) as CustomResourceDefinition
      return whole.versions.find((v) => v.name === version)?.schema?.openAPIV3Schema
    },
  }
}

export const findCondition = ({ status }: { status?: CustomResourceDefinition['status'] }, type: string): CustomResourceDefinitionCondition | undefined => status?.conditions?.find((c) => c.type === type)
export const isConditionTrue = (of: { status?: CustomResourceDefinition['status'] }, type: string): boolean => findCondition(of, type)?.status === 'True'

/** Serving begins with accepted names, and goes on whatever a later change of names meets. */
export const isServed = (definition: Definition): boolean => isConditionTrue(definition, 'NamesAccepted') || isConditionTrue(definition, 'Established')
export const isTerminating = (definition: Definition): boolean => definition.deletionTimestamp !== undefined || isConditionTrue(definition, 'Terminating')
