/** Auditing as the flags ask for it; names and defaults are kube-apiserver's. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createAuditor, type AuditBackend, type Auditor } from '../apiserver/audit/auditor.ts'
import { createLogBackend } from '../apiserver/audit/log-backend.ts'
import { parsePolicy } from '../apiserver/audit/policy.ts'
import { createWebhookBackend, type WebhookLimits } from '../apiserver/audit/webhook-backend.ts'
import { createWebhookSender, type WebhookEndpoint } from '../apiserver/audit/webhook-sender.ts'
import { parseWebhookKubeconfig } from '../apiserver/webhook-client/index.ts'
import type { Clock } from '#base/clock.ts'
import { UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { readYamlMapping } from './config-file.ts'
import { durationSeconds } from './flag-checks.ts'
import type { FlagValues } from './flags.ts'
import { text } from './node-config.ts'

const MEGABYTE = 1024 * 1024
/** What upstream's log writer takes 0 for. */
const SIZE_MB_DEFAULT = 100

/** Undefined: nothing is audited, and no request pays for it. */
export function auditorOf(values: FlagValues, deps: { clock: Clock; log: Log }): Auditor | undefined {
  const path = text(values, 'audit-policy-file')
  if (path === undefined) {
    const without = ['audit-log-path', 'audit-webhook-config-file'].find((name) => text(values, name) !== undefined)
    if (without !== undefined) throw new UsageError(`--${without}: nothing would be audited without a policy: pass --audit-policy-file FILE, too`)
    return undefined
  }
  const parsed = parsePolicy(readYamlMapping(path, { optional: false, what: '--audit-policy-file:' }))
  if (!parsed.ok) throw new UsageError(`--audit-policy-file: ${path}: ${parsed.message}`)
  const backends = [logBackend(values, deps), webhookBackend(values, deps)].filter((b) => b !== undefined)
  return backends.length > 0 ? createAuditor({ policy: parsed.policy, backends, clock: deps.clock }) : undefined
}

function logBackend(values: FlagValues, deps: { clock: Clock; log: Log }): AuditBackend | undefined {
  const path = text(values, 'audit-log-path')
  if (path === undefined) return undefined
  return createLogBackend({
    path: path === '-' ? path : resolve(path), format: text(values, 'audit-log-format') === 'legacy' ? 'legacy' : 'json',
    maxAgeDays: Number(values['audit-log-maxage']), maxBackups: Number(values['audit-log-maxbackup']), maxSizeBytes: (Number(values['audit-log-maxsize']) || SIZE_MB_DEFAULT) * MEGABYTE,
    compress: values['audit-log-compress'] === true, writeOut: (line) => void process.stdout.write(line), ...deps,
  })
}

function webhookBackend(values: FlagValues, deps: { clock: Clock; log: Log }): AuditBackend | undefined {
  const path = text(values, 'audit-webhook-config-file')
  return path === undefined ? undefined : createWebhookBackend({ send: createWebhookSender(endpointOf(path)), limits: batchLimits(values), ...deps })
}

function batchLimits(values: FlagValues): Partial<WebhookLimits> {
  const batch = (name: string): number => Number(values[`audit-webhook-batch-${name}`])
  const [bufferSize, maxSize] = [batch('buffer-size'), batch('max-size')]
  if (bufferSize < maxSize) throw new UsageError(`--audit-webhook-batch-max-size: invalid audit batch webhook max batch size ${maxSize}, must be less than or equal to buffer size ${bufferSize}: raise --audit-webhook-batch-buffer-size`)
  return {
    bufferSize, maxSize, maxWaitMs: milliseconds(values, 'audit-webhook-batch-max-wait'), backoffMs: milliseconds(values, 'audit-webhook-initial-backoff'),
    ...(values['audit-webhook-batch-throttle-enable'] === false ? { throttle: undefined } : { throttle: { perSecond: batch('throttle-qps'), burst: batch('throttle-burst') } }),
  }
}

const milliseconds = (values: FlagValues, name: string): number => (durationSeconds(text(values, name) ?? '') ?? 0) * 1000

/** The current context of a kubeconfig: where to, whom to trust, who we are. */
function endpointOf(path: string): WebhookEndpoint {
  const { config, identity } = parseWebhookKubeconfig(resolve(path), 'audit-webhook-config-file', (file) => readFileSync(file, 'utf8'), { mayBePlain: true })
  const { clientCertificate, bearer, serverName, insecure } = identity
  return {
    url: config.url ?? '', ca: config.caBundle === undefined ? undefined : Buffer.from(config.caBundle, 'base64').toString(),
    bearer, serverName, insecure, clientCertificate: clientCertificate && { cert: clientCertificate.certPem, key: clientCertificate.keyPem },
  }
}
