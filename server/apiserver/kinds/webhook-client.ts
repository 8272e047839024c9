/** How a webhook is reached: rules shared by admission webhooks and conversion webhooks of custom resources. */
import { checkDnsSubdomain, checkPortNumber } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'

const URL_FORM = '; desired format: https://host[/path]'

export interface WebhookService { name?: string; namespace?: string; path?: string; port?: number }

/** `url` and `service` exclude each other. */
export function validateWebhookClient(at: string, client: { url?: string; service?: WebhookService } | undefined): FieldError[] {
  const { url, service } = client ?? {}
  if ((url === undefined) === (service === undefined)) return [required(at, 'exactly one of url or service is required')]
  return url === undefined ? validateWebhookService(`${at}.service`, service ?? {}) : validateWebhookUrl(`${at}.url`, url)
}

export function validateWebhookUrl(at: string, text: string): FieldError[] {
  const [, scheme = '', authority, , query, fragment] = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text) ?? []
  const userEnd = (authority ?? '').lastIndexOf('@')
  const host = (authority ?? '').slice(userEnd + 1)
  const out: FieldError[] = []
  if (scheme !== 'https') out.push(invalid(at, scheme, `'https' is the only allowed URL scheme${URL_FORM}`))
  if (host === '') out.push(invalid(at, '', `host must be specified${URL_FORM}`))
  if (userEnd >= 0) out.push(invalid(at, (authority ?? '').slice(0, userEnd), 'user information is not permitted in the URL'))
  if (fragment) out.push(invalid(at, fragment, 'fragments are not permitted in the URL'))
  if (query) out.push(invalid(at, query, 'query parameters are not permitted in the URL'))
  return out
}

export function validateWebhookService(at: string, service: WebhookService): FieldError[] {
  const out: FieldError[] = []
  // Upstream hands them over in each other's place, and so names the one that is there.
  if (!service.namespace) out.push(required(`${at}.name`))
  if (!service.name) out.push(required(`${at}.namespace`))
  const port = service.port ?? 0
  const wrong = checkPortNumber(port)
  if (wrong.length > 0) out.push(invalid(`${at}.port`, port, `port is not valid: ${wrong.join(',')}`))
  return [...out, ...validateUrlPath(`${at}.path`, service.path ?? '')]
}

function validateUrlPath(at: string, path: string): FieldError[] {
  if (path === '' || path === '/') return []
  if (path === '//') return [invalid(at, path, 'segment[0] may not be empty')]
  const out = path.startsWith('/') ? [] : [invalid(at, path, "must start with a '/'")]
  const steps = path.slice(1).replace(/\/$/, '').split('/')
  return [...out, ...steps.flatMap((step, i) => (step === '' ? [invalid(at, path, `segment[${i}] may not be empty`)] : checkDnsSubdomain(step).map((m) => invalid(at, path, `segment[${i}]: ${m}`))))]
}
