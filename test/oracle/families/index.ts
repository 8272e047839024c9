/** All families, in the order in which they are asked. */
import type { Family } from './begin.ts'
import { addresses } from './addresses.ts'
import { deletions } from './deletions.ts'
import { dryRuns } from './dry-runs.ts'
import { lists } from './lists.ts'
import { malformed } from './malformed.ts'
import { managers } from './managers.ts'
import { metadata } from './metadata.ts'
import { openapi } from './openapi.ts'
import { patches } from './patches.ts'
import { podUpdates } from './pod-updates.ts'
import { requests } from './requests.ts'
import { reviews } from './reviews.ts'
import { statuses } from './statuses.ts'
import { tables } from './tables.ts'
import { watches } from './watches.ts'

export const FAMILIES: Readonly<Record<string, Family>> = { patches, malformed, statuses, 'pod-updates': podUpdates, managers, metadata, addresses, lists, watches, deletions, 'dry-runs': dryRuns, reviews, requests, tables, openapi }
