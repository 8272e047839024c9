/** Definitions for tests, and a server that has them. */
import assert from 'node:assert/strict'
import { harness, items, type Harness, type Loose } from '../app.test-support.ts'
import type { ApiServerOptions } from '../app.ts'
import { rows } from '../registry.ts'

type Json = Record<string, unknown>

export const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
export const TABS = '/apis/stable.example.com/v1/namespaces/default/crontabs'

export const CRON_TAB_SCHEMA: Json = {
  type: 'object',
  properties: {
    spec: {
      type: 'object', required: ['cronSpec'],
      properties: {
        cronSpec: { type: 'string', pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$' },
        image: { type: 'string' },
        replicas: { type: 'integer', minimum: 1, maximum: 10, default: 1 },
      },
    },
    status: { type: 'object', properties: { replicas: { type: 'integer' }, labelSelector: { type: 'string' } } },
  },
}

export const version = (name: string, over: Json = {}, schema: Json = CRON_TAB_SCHEMA): Json => ({ name, served: true, storage: false, schema: { openAPIV3Schema: schema }, ...over })

export interface CronTabs { version?: Json; versions?: Json[]; spec?: Json; names?: Json; schema?: Json; metadata?: Json }

/** `version`: more of its only version; `spec`: more of the definition's spec. */
export function cronTabs({ version: over = {}, versions, spec = {}, names = {}, schema, metadata = {} }: CronTabs = {}): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'crontabs.stable.example.com', ...metadata },
    spec: {
      group: 'stable.example.com', scope: 'Namespaced', names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab', shortNames: ['ct'], ...names },
      versions: versions ?? [version('v1', { storage: true, ...over }, schema)],
      ...spec,
    },
  }
}

export const cronTab = (name: string, spec: unknown = { cronSpec: '* * * * *' }, over: Json = {}): Json => ({ apiVersion: 'stable.example.com/v1', kind: 'CronTab', metadata: { name }, spec, ...over })

/** All built-in kinds. */
export const server = (over: Partial<ApiServerOptions> = {}): Harness => harness({ rows, ...over })

/** Turns of the loop until `done` answers something. */
export async function until<T>(done: () => Promise<T | undefined>, what: string): Promise<T> {
  for (let turn = 0; turn < 1_000; turn++) {
    const found = await done()
    if (found !== undefined) return found
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  assert.fail(`waited in vain: ${what}`)
}

export interface Condition { type: string; status: string; reason: string; message: string }
export const conditionsOf = (definition: Loose): Condition[] => items<Condition>(definition['status']?.['conditions'])

/** Creates the definition and waits for its names. */
export async function define(h: Harness, body: Json): Promise<Loose> {
  const made = await h.call('POST', DEFINITIONS, body)
  assert.equal(made.status, 201, made.text)
  const name = (body['metadata'] as { name: string }).name
  return until(async () => {
    const { json } = await h.call('GET', `${DEFINITIONS}/${name}`)
    return conditionsOf(json).some((c) => c.type === 'NamesAccepted') ? json : undefined
  }, `names of ${name}`)
}

/** The causes of a refusal: `field: message`. */
export const causes = (json: Loose): string[] => items<{ field: string; message: string }>(json['details']?.['causes']).map((c) => `${c.field}: ${c.message}`)

export const MERGE = { 'content-type': 'application/merge-patch+json' }
