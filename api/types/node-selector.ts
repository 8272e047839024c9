/** Node selector terms, as node affinity and volumes use them: terms are ORed, what is in a term is ANDed. */
import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm } from './generated/models.ts'
import { matchesRequirement, OBJECT_OPERATORS } from './labels.ts'

export function matchesNodeSelector(selector: NodeSelector, node: Node): boolean {
  return selector.nodeSelectorTerms.some((term) => matchesTerm(term, node))
}

/** An empty term matches nothing, as upstream. */
export function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  const expressions = term.matchExpressions ?? []
  const fields = term.matchFields ?? []
  if (expressions.length === 0 && fields.length === 0) return false
  return expressions.every((e) => holds(e, node.metadata?.labels)) && fields.every((f) => f.key === 'metadata.name' && holds(f, { 'metadata.name': node.metadata?.name ?? '' }))
}

function holds(requirement: NodeSelectorRequirement, labels: Readonly<Record<string, string>> | undefined): boolean {
  const operator = OBJECT_OPERATORS[requirement.operator]
  return operator !== undefined && matchesRequirement({ key: requirement.key, operator, values: requirement.values ?? [] }, labels)
}
