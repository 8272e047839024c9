/** What the agent may know of runtimes. `createEmbeddedRuntime` is runc (or crun) with conmon; `memory/` is for tests. */
import { EmbeddedRuntime } from './runc/embedded-runtime.ts'
import type { EmbeddedRuntimeOptions } from './runc/runtime-options.ts'
import type { ContainerRuntime } from './runtime.ts'

export * from './runtime.ts'
export type { EmbeddedRuntimeOptions, PtyProcess, SpawnPty } from './runc/runtime-options.ts'
export type { RegistriesConfig } from './runc/registries-config.ts'
export { parseRegistries } from './runc/parse-registries.ts'
export type { StreamFlags } from './streaming/channels.ts'
export { parsePort } from './streaming/port-forward.ts'
export { createUpgrades, type ServeUpgrade, type StreamTarget } from './streaming/upgrade.ts'
export { runUnpackChild } from './runc/unpack-child.ts'

/** Resolves once everything an earlier life left on this machine has been adopted or cleared away. */
export async function createEmbeddedRuntime(options: EmbeddedRuntimeOptions): Promise<ContainerRuntime> {
  const runtime = new EmbeddedRuntime(options)
  await runtime.open()
  return runtime
}
