/** All families, in the order in which they are asked. */
import type { Family } from './begin.ts'
import { addresses } from './addresses.ts'
import { malformed } from './malformed.ts'
import { managers } from './managers.ts'
import { metadata } from './metadata.ts'
import { patches } from './patches.ts'
import { podUpdates } from './pod-updates.ts'
import { statuses } from './statuses.ts'

export const FAMILIES: Readonly<Record<string, Family>> = { patches, malformed, statuses, 'pod-updates': podUpdates, managers, metadata, addresses }
