/** Namespaces: their finalizers are in the spec, and their name is a label. */
import type { Namespace } from '#api/types/index.ts'
import { type FieldError, invalid } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { keepStatus } from './carry.ts'
import { checkQualifiedName } from '#api/types/index.ts'
import { named, setDefault } from './check.ts'
import { standardFinalizer } from './object-meta.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const NAME_LABEL = 'kubernetes.io/metadata.name'
const FINALIZER = 'kubernetes'

export const namespaceStrategy: KindStrategy<Namespace> = {
  nameRule: 'dns-label',
  generation: false,

  defaults(namespace) {
    const meta = (namespace.metadata ??= {})
    if (meta.name) meta.labels = { ...meta.labels, [NAME_LABEL]: meta.name }
    setDefault((namespace.status ??= {}), 'phase', 'Active')
  },

  prepareCreate(namespace) {
    const finalizers = namespace.spec?.finalizers ?? []
    namespace.spec = { finalizers: finalizers.includes(FINALIZER) ? finalizers : [...finalizers, FINALIZER] }
    namespace.status = { phase: 'Active' }
    const name = namespace.metadata?.name
    if (namespace.metadata && name) namespace.metadata.labels = { ...namespace.metadata.labels, [NAME_LABEL]: name }
  },

  prepareUpdate(namespace, old) {
    keepStatus(namespace, old)
    if (old.spec) namespace.spec = cloneJson(old.spec)
  },

  prepareStatusUpdate(namespace, old) {
    if (old.spec) namespace.spec = cloneJson(old.spec)
  },

  prepareDelete(namespace) {
    namespace.status = { ...namespace.status, phase: 'Terminating' }
  },

  validate: (namespace) => (namespace.spec?.finalizers ?? []).flatMap((f) => [...named('spec.finalizers', f, checkQualifiedName), ...standardFinalizer('spec.finalizers', f)]),

  validateStatusUpdate(namespace): FieldError[] {
    const deleting = namespace.metadata?.deletionTimestamp !== undefined
    const [wanted, when] = deleting ? ['Terminating', 'is not empty'] : ['Active', 'is empty']
    const phase = namespace.status?.phase ?? ''
    return phase === wanted ? [] : [invalid('status.Phase', phase, `may only be '${wanted}' if \`deletionTimestamp\` ${when}`)]
  },

  columns: [nameColumn(), column('Status', 'The status of the namespace', (o) => o.status?.phase ?? ''), ageColumn()],
  selectableFields: { 'status.phase': (o) => o.status?.phase ?? '' },

  mayRemove: (namespace) => (namespace.spec?.finalizers ?? []).length === 0,
}
