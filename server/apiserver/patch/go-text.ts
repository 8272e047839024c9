/** JSON values as Go prints them in messages. */
import { isObject } from './result.ts'

/** %v. */
export function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (isObject(value)) return `map[${Object.keys(value).toSorted().map((key) => `${key}:${goText(value[key])}`).join(' ')}]`
  return value === null ? '<nil>' : typeof value === 'string' ? value : JSON.stringify(value)
}

/** %#v. */
export function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`
  if (isObject(value)) return `map[string]interface {}{${Object.keys(value).toSorted().map((key) => `${JSON.stringify(key)}:${goSyntax(value[key])}`).join(', ')}}`
  return value === null ? 'interface {}(nil)' : JSON.stringify(value)
}
