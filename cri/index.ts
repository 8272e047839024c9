/** What the agent may know of runtimes. `createEmbeddedRuntime` is runc (or crun) with conmon; `memory/` is for tests. */
import { EmbeddedRuntime } from './runc/embedded-runtime.ts'
import type { EmbeddedRuntimeOptions } from './runc/runtime-options.ts'
import type { GrpcRuntimeOptions } from './grpc/grpc-runtime.ts'
import type { RuntimeServer, ServeRuntimeOptions } from './serve/runtime-server.ts'
import type { ContainerRuntime } from './runtime.ts'

/** `info`: what the runtime says of its own configuration, by name, as JSON. */
export interface ExternalRuntime extends ContainerRuntime { info(): Promise<Record<string, string>> }

export * from './runtime.ts'
export { isAppArmorEnabled, isSeccompEnabled, isSelinuxEnabled } from './lsm.ts'
export { callError } from './rpc-status.ts'
export { diskUsage, type DiskUsage } from './runc/disk-usage.ts'
export type { EmbeddedRuntimeOptions, PtyProcess, SpawnPty } from './runc/runtime-options.ts'
export type { RegistriesConfig } from './runc/registries-config.ts'
export { parseRegistries } from './runc/parse-registries.ts'
export type { StreamFlags } from './streaming/channels.ts'
export { parsePort } from './streaming/port-forward.ts'
export { createUpgrades, type ServeUpgrade, type StreamTarget } from './streaming/upgrade.ts'
export { imageArchive } from './runc/image-export.ts'
export { runUnpackChild } from './runc/unpack-child.ts'

export type { GrpcRuntimeOptions } from './grpc/grpc-runtime.ts'

/** A runtime that is not ours, over its socket. Rejects when none that speaks CRI v1 answers there. */
export async function connectRuntime(options: GrpcRuntimeOptions): Promise<ExternalRuntime> {
  const { GrpcRuntime } = await import('./grpc/grpc-runtime.ts')
  const runtime = new GrpcRuntime(options)
  try {
    await runtime.open()
  } catch (error) {
    await runtime.close()
    throw error
  }
  return runtime
}

/** CRI v1 on a unix socket for crictl and the like. Resolves once it listens. */
export async function serveRuntime(runtime: ContainerRuntime, options: ServeRuntimeOptions): Promise<RuntimeServer> {
  return (await import('./serve/runtime-server.ts')).serveRuntime(runtime, options)
}

/** Resolves once everything an earlier life left on this machine has been adopted or cleared away. */
export async function createEmbeddedRuntime(options: EmbeddedRuntimeOptions): Promise<ContainerRuntime> {
  const runtime = new EmbeddedRuntime(options)
  await runtime.open()
  return runtime
}
