/** What the client tells a registry, and how it finds one. */

/** Who one is to a registry: a name and password, or a token that stands for them. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** What `docker login` got instead of a password (OAuth's refresh token). */
  | { readonly identityToken: string }
  /** Given to the registry as it is. */
  | { readonly registryToken: string };

/** Credentials, or what gives those for a registry's host; undefined for none. */
export type Auth = Credentials | ((host: string) => Credentials | undefined | Promise<Credentials | undefined>);

/** How registries are reached. */
export interface RegistryOptions {
  /** Default: what docker's config.json says, by itself or by a credential helper. */
  readonly auth?: Auth | undefined;
  /** A directory as containerd's `certs.d`: `HOST/hosts.toml` and certificates. Default: /etc/containerd/certs.d. */
  readonly hostsDir?: string | undefined;
}
