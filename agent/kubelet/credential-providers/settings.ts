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
  /** It is asked in the name of the pod's service account (KEP-4412). */
  token?: TokenAttributes
}

export interface TokenAttributes {
  audience: string
  /** What answers are kept by: the account, or its very token. */
  cacheType: 'ServiceAccount' | 'Token'
  /** Pods without one are not its business; else it is asked without a token for them. */
  requireServiceAccount: boolean
  /** Without all of these the account is not its business either. */
  requiredAnnotations: readonly string[]
  optionalAnnotations: readonly string[]
}

export interface CredentialProviderSettings {
  providers: readonly CredentialProvider[]
  /** `sha256:` and hex, of the files that they are configured by: by it people see which nodes have which configuration. */
  configHash: string
  /** Absolute. */
  binDir: string
  /** What programs get besides their own variables. */
  environment: Readonly<Record<string, string>>
}
