/** Programs on this machine that tell credentials for registries, as they are configured. */

export interface CredentialProvider {
  /** Of the program in the plugins' directory. */
  name: string
  /** As registries in pull secrets: `*.dkr.ecr.*.amazonaws.com`, `reg.example/team`. */
  matchImages: readonly string[]
  defaultCacheMs: number
  apiVersion: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
}

export interface CredentialProviderSettings {
  providers: readonly CredentialProvider[]
  /** Absolute. */
  binDir: string
  /** What programs get besides their own variables. */
  environment: Readonly<Record<string, string>>
}
