/** Names of certificate signers: `domain/path` (KEP-3257, certificates validation). */
import { checkDnsSubdomain } from '#api/types/index.ts'
import { type FieldError, invalid, required, tooLong } from '../field-error.ts'

/** Domain and path each, with room for the prefix that names of trust bundles put before them. */
const SIGNER_BYTES_MAX = 571

export function validateSignerName(at: string, name: string | undefined): FieldError[] {
  if (!name) return [required(at)]
  const parts = name.split('/')
  const [domain = '', path = ''] = parts
  if (parts.length < 2) return [invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")]
  if (parts.length > 2) return [invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")]
  const out: FieldError[] = []
  for (const message of checkDnsSubdomain(domain)) out.push(invalid(at, domain, `validating label ${JSON.stringify(domain)}: ${message}`))
  if (domain.split('.').length < 2) out.push(invalid(at, domain, 'should be a domain with at least two segments separated by dots'))
  for (const label of path.split('.')) for (const message of checkDnsSubdomain(label)) out.push(invalid(at, path, `validating label ${JSON.stringify(label)}: ${message}`))
  if (Buffer.byteLength(name) > SIGNER_BYTES_MAX) out.push(tooLong(at, SIGNER_BYTES_MAX))
  return out
}
