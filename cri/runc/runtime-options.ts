/** What the embedded runtime is given: every adapter and path, nothing read from the environment. */
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { PodNetwork } from '../runtime.ts'
import type { RegistriesConfig } from './registries-config.ts'

/** The part of node-pty that exec with a terminal needs; `node-pty` itself fits. */
export interface PtyProcess {
  readonly pid: number
  onData(listener: (data: string | Buffer) => void): unknown
  onExit(listener: (exit: { exitCode: number; signal?: number | undefined }) => void): unknown
  write(data: string | Buffer): void
  resize(columns: number, rows: number): void
  kill(signal?: string): void
  pause(): void
  resume(): void
}
export type SpawnPty = (file: string, args: string[], options: { name: string; cols: number; rows: number; cwd: string; env: Record<string, string>; encoding: null }) => PtyProcess

export interface EmbeddedRuntimeOptions {
  /** `<data-dir>/agent`: images, layers, records of sandboxes and containers, writable layers. */
  dataDir: string
  /** What does not outlive a reboot: namespaces, sockets, runc's state. Default `/run/skiff`; one per agent. */
  stateDir?: string
  network: PodNetwork
  clock: Clock
  random: Random
  log: Log
  /** Spawned with a job on stdin to unpack a layer: must run `runUnpackChild`. E.g. `[process.execPath, 'unpack-layer']`. */
  selfCommand: readonly string[]
  /** Default `runc`. */
  ociRuntime?: 'runc' | 'crun'
  /** Further handlers that sandboxes may name, each with its program: runc or crun by name or path. */
  handlers?: ReadonlyMap<string, string>
  /** Program paths, where they are not found by name. */
  ociRuntimePath?: string
  conmonPath?: string
  /** Put before each sandbox's cgroupParent, e.g. `/lab-node1`; default none. */
  cgroupRoot?: string
  registries?: RegistriesConfig
  /** Needed for exec with a terminal; called at the first such exec. */
  loadPty?: () => SpawnPty
  /** A registry silent for this long has failed. Default 60 s. */
  pullStallMs?: number
  /** Of one unpacked layer. Default 32 GiB. */
  layerBytesMax?: number
  /** Where vendors describe devices (CDI). Default: /etc/cdi and /var/run/cdi. */
  cdiDirs?: readonly string[]
  /** Image layers may hold any device node. Default false. */
  allowLayerDevices?: boolean
}
