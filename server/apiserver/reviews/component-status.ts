/**
 * ComponentStatus: deprecated, read only, made up when asked. The store is tried; scheduler and controllers are parts of
 * the process that answers, or of the leader that gives it its revisions.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import type { ComponentStatus } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { notFound } from '../http/status.ts'
import type { KindStrategy } from '../kind.ts'
import { column, nameColumn } from '../kinds/table-columns.ts'
import { renderMade } from '../table/render.ts'
import type { Call } from '../verbs/call.ts'

const STORE_PROBE_KEY = '/registry/health'

export const componentStatusStrategy: KindStrategy<ComponentStatus> = {
  generation: false,
  warnings: () => ['v1 ComponentStatus is deprecated in v1.19+'],
  columns: [
    nameColumn(),
    column('Status', 'Status of the component conditions', (o) => (healthy(o) === undefined ? 'Unknown' : healthy(o)?.status === 'True' ? 'Healthy' : 'Unhealthy')),
    column('Message', 'Message of the component conditions', (o) => healthy(o)?.message ?? ''),
    column('Error', 'Error of the component conditions', (o) => healthy(o)?.error ?? ''),
  ],
}

const healthy = (o: ComponentStatus) => o.conditions?.find((c) => c.type === 'Healthy')

export async function componentStatuses(call: Call): Promise<ApiResponse> {
  for (const text of componentStatusStrategy.warnings?.({}) ?? []) call.warn(text)
  const format = negotiateObject(call.headers['accept'], call.row.model)
  const store = await storeProblem(call)
  const all = [status('scheduler', undefined), status('controller-manager', undefined), status('etcd-0', store)]
  if (call.verb === 'list') return renderMade(call, all, format)
  const one = all.find((o) => o.metadata?.name === call.info.name)
  if (!one) throw notFound({ ...call.row.ref, resource: 'componentstatus' }, call.info.name)
  return renderMade(call, one, format)
}

async function storeProblem(call: Call): Promise<string | undefined> {
  try {
    await call.parts.store.get(STORE_PROBE_KEY)
    return undefined
  } catch (error) {
    return asError(error).message
  }
}

function status(name: string, problem: string | undefined): ComponentStatus {
  return {
    apiVersion: 'v1', kind: 'ComponentStatus', metadata: { name },
    conditions: [problem === undefined ? { type: 'Healthy', status: 'True', message: 'ok' } : { type: 'Healthy', status: 'False', error: problem }],
  }
}
