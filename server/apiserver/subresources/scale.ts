/** `/scale`: autoscaling/v1 Scale as a view of any kind whose row names the three paths. */
import type { ApiResponse } from '#api/client/transport.ts'
import { apiVersionOf, type KubeObject, type LabelSelector, type ObjectMeta, type Scale } from '#api/types/index.ts'
import { builtinSchema } from '#api/schema/index.ts'
import { compileLabelSelector, formatLabelSelector } from '#api/types/labels.ts'
import { invalid as invalidField } from '../field-error.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { jsonResponse } from '../http/response.ts'
import { badRequest, internal, invalid, methodNotAllowed, noSuchResource } from '../http/status.ts'
import type { Column } from '../kind.ts'
import { ageColumn, count, nameColumn } from '../kinds/table-columns.ts'
import { apply } from '../patch/apply/apply.ts'
import { fieldsOfScale, fieldsOfScaled } from '../patch/apply/scale-fields.ts'
import { table, tableRow } from '../table/table.ts'
import { readBody } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { changedObject, changeObject, UNCONDITIONAL_ATTEMPTS } from '../verbs/change.ts'
import { parseWriteOptions, type WriteOptions } from '../verbs/options.ts'
import { parseApplyOptions, parseConfig, refusedApply } from '../verbs/apply.ts'
import { APPLY, patchValue, typeOf } from '../verbs/patch.ts'
import { readHeld, type Full } from '../verbs/stored.ts'

const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' }

/** `kubectl get --subresource=scale`. */
const COLUMNS: readonly Column<KubeObject>[] = [
  // Upstream's has no format, unlike that of objects.
  { ...nameColumn(), format: '' },
  count('Desired', 'replicas is the desired number of instances for the scaled object.', (o) => (o as Scale).spec?.replicas ?? 0),
  count('Available', 'replicas is the actual number of observed instances of the scaled object.', (o) => (o as Scale).status?.replicas ?? 0),
  ageColumn(),
]

export async function scale(call: Call): Promise<ApiResponse> {
  const { as, metaVersion } = negotiateObject(call.headers['accept'], 'Scale')
  switch (call.verb) {
    case 'get': {
      const shown = scaleOf(call, (await readHeld(call)).object)
      if (as !== 'Table') return jsonResponse(shown)
      const row = tableRow({ columns: COLUMNS }, shown, 'Metadata', metaVersion, call.parts.clock.nowMs())
      return jsonResponse(table(COLUMNS, metaVersion, { resourceVersion: shown.metadata?.resourceVersion ?? '' }, [row]))
    }
    case 'update': {
      const options = parseWriteOptions(call, 'UpdateOptions')
      const wanted = readBody<Scale & KubeObject>(call, { model: 'Scale', expect: SCALE, validation: options.fieldValidation })
      return set(call, () => wanted, options)
    }
    case 'patch': {
      if (typeOf(call) === APPLY) return applyScale(call)
      const options = parseWriteOptions(call, 'PatchOptions')
      return set(call, (old) => {
        const wanted = patchValue(call, scaleOf(call, old) as KubeObject, 'Scale', SCALE, options) as Scale & KubeObject
        // What the patch was shown is no precondition: who comes second tries again.
        if (wanted.metadata?.resourceVersion === old.metadata.resourceVersion) delete wanted.metadata?.resourceVersion
        return wanted
      }, options)
    }
    default: throw methodNotAllowed()
  }
}

/** What is applied is the Scale; what is owned in the end is the field of the object that it stands for. */
function applyScale(call: Call): Promise<ApiResponse> {
  const { specPath } = pathsOf(call)
  const options = parseApplyOptions(call)
  let parsed: Full | undefined
  return set(call, (old) => {
    const config = (parsed ??= parseConfig(call, SCALE))
    const shown = scaleOf(call, old)
    const live = { ...shown, metadata: { ...shown.metadata, managedFields: fieldsOfScale(old.metadata.managedFields, specPath) } } as KubeObject
    const result = apply({
      live, config, manager: options.givenManager, force: options.force ?? false, subresource: 'scale', apiVersion: apiVersionOf(SCALE),
      nowMs: call.parts.clock.nowMs(), schema: builtinSchema, model: 'Scale', hasStatus: false,
    })
    if (!result.ok) throw refusedApply(result)
    const { spec } = result.object as Scale
    const managedFields = result.changed ? fieldsOfScaled(old.metadata.managedFields, result.object.metadata?.managedFields, specPath, apiVersionOf(call.row.ref)) : old.metadata.managedFields
    if (managedFields) old.metadata.managedFields = managedFields
    const { resourceVersion, uid } = config.metadata
    return { ...(spec && { spec }), metadata: { ...(resourceVersion !== undefined && { resourceVersion }), ...(uid !== undefined && { uid }) } } as Scale & KubeObject
  }, options, 'apply')
}

async function set(call: Call, wanted: (old: Full) => Scale & KubeObject, options: WriteOptions, fields: 'update' | 'apply' = 'update'): Promise<ApiResponse> {
  const { specPath } = pathsOf(call)
  const done = await changeObject(call, {
    next(_held, copy) {
      const old = copy()
      const asked = wanted(old)
      const name = asked.metadata?.name ?? ''
      if (name !== '' && name !== call.info.name) throw badRequest(`the name of the object (${name}) does not match the name on the URL (${call.info.name})`)
      const replicas = asked.spec?.replicas ?? 0
      if (replicas < 0 && !call.row.custom) throw invalid(SCALE, call.info.name, [invalidField('spec.replicas', replicas, 'must be greater than or equal to 0')])
      writePath(old, specPath, replicas)
      // The Scale names the version it saw; the object under it is what is compared.
      const meta = old.metadata
      meta.resourceVersion = asked.metadata?.resourceVersion ?? ''
      if (asked.metadata?.uid) meta.uid = asked.metadata.uid
      return old
    },
    part: 'main', fields, options, attempts: UNCONDITIONAL_ATTEMPTS,
    admitAs: {
      kind: { ...SCALE, model: 'Scale' },
      of: (object) => scaleOf(call, object) as KubeObject,
      take: (form, object) => writePath(object, specPath, (form as Scale).spec?.replicas ?? 0),
    },
  })
  return jsonResponse(scaleOf(call, changedObject(call, done)))
}

function scaleOf(call: Call, object: Full): Scale {
  const { specPath, statusPath, selectorPath } = pathsOf(call)
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata as Required<Omit<ObjectMeta, 'namespace'>> & Pick<ObjectMeta, 'namespace'>
  const replicas = readPath(object, specPath)
  if (replicas === undefined && call.row.custom) throw internal(`the spec replicas field ${JSON.stringify(specPath)} does not exist`)
  return {
    kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion, creationTimestamp },
    spec: typeof replicas === 'number' && replicas !== 0 ? { replicas } : {},
    status: { replicas: Number(readPath(object, statusPath) ?? 0), ...(selectorPath !== '' && selectorText(readPath(object, selectorPath))) },
  }
}

/** A LabelSelector, a plain map (ReplicationController), or text already. */
function selectorText(selector: unknown): { selector?: string } {
  if (typeof selector === 'string') return { selector }
  if (typeof selector !== 'object' || selector === null) return {}
  const isSelector = 'matchLabels' in selector || 'matchExpressions' in selector
  return { selector: formatLabelSelector(compileLabelSelector(isSelector ? (selector as LabelSelector) : { matchLabels: selector as Record<string, string> })) }
}

function pathsOf(call: Call): { specPath: string; statusPath: string; selectorPath: string } {
  if (!call.row.scale) throw noSuchResource()
  return call.row.scale
}

const steps = (path: string): string[] => path.split('.').filter((s) => s !== '')

function readPath(object: unknown, path: string): unknown {
  let at = object
  for (const step of steps(path)) {
    if (typeof at !== 'object' || at === null) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  return at
}

function writePath(object: unknown, path: string, value: unknown): void {
  const all = steps(path)
  let at = object as Record<string, unknown>
  for (const step of all.slice(0, -1)) at = (at[step] ??= {}) as Record<string, unknown>
  at[all.at(-1) ?? ''] = value
}
