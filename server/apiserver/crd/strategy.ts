/** The KindStrategy of a custom resource's version. */
import type { CustomResourceDefinitionVersion, KubeObject } from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { equalJson } from '../storage/equal.ts'
import { customColumns } from './columns.ts'
import { finalizerWarnings } from './finalizer-warnings.ts'
import { parseJsonPath } from './json-path.ts'
import { applyDefaults } from './schema/defaults.ts'
import type { RuleSet } from './rules/rule-set.ts'
import type { Json, SchemaNode } from './schema/node.ts'
import { ruleWarnings, validateCustomCreate, validateCustomStatus, validateCustomUpdate } from './validate-custom.ts'

type Custom = KubeObject & Json

export function customStrategy(version: CustomResourceDefinitionVersion, schema: () => SchemaNode, rules: () => RuleSet | undefined): KindStrategy<Custom> {
  const whole = () => ({ node: schema(), rules: rules(), scale: version.subresources?.scale })
  const hasStatus = version.subresources?.status !== undefined
  return {
    requiresRevision: true,
    finalizers: 'plain',
    statusKeepsMetadata: true,
    defaults(object) { applyDefaults(object, schema()) },
    prepareCreate(object) { if (hasStatus) delete object['status'] },
    prepareUpdate(object, old) {
      if (!hasStatus) return
      if (Object.hasOwn(old, 'status')) object['status'] = old['status']
      else delete object['status']
    },
    generation: (object, old) => !equalJson(withoutMetadata(object), withoutMetadata(old)),
    validate: (object) => validateCustomCreate(object, whole()),
    validateUpdate: (object, old) => validateCustomUpdate(object, old, whole()),
    validateStatusUpdate: (object, old) => validateCustomStatus(object, old, whole()),
    warnings: (object, old) => [...finalizerWarnings(object, old), ...ruleWarnings(object)],
    columns: customColumns(version.additionalPrinterColumns),
    ...(version.selectableFields && { selectableFields: selectable(version.selectableFields) }),
  }
}

const withoutMetadata = ({ metadata: _metadata, ...rest }: Custom): Json => rest

function selectable(fields: readonly { jsonPath: string }[]): Record<string, (object: Custom) => string> {
  return Object.fromEntries(fields.map(({ jsonPath }) => {
    const path = parseJsonPath(jsonPath)
    const read = (object: Custom): string => {
      const [value] = path.ok ? path.find(object) : []
      return value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value)
    }
    return [jsonPath.replace(/^\./, ''), read]
  }))
}
