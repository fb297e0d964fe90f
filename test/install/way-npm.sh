# `make packages`, from a registry: /artefacts has npm and a Node, as no Debian release has both as small packages, and npm's configuration.
. /artefacts/versions
mkdir -p /usr/local/lib/node_modules /usr/local/share/man/man1 /usr/local/share/man/man8
cp -r /artefacts/npm /usr/local/lib/node_modules/npm
ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
command -v node >/dev/null || cp /artefacts/node /usr/local/bin/node
export NPM_CONFIG_USERCONFIG=/artefacts/npmrc NPM_CONFIG_PREFIX=/usr/local
of_npm() { npm --loglevel=error "$@" </dev/null; }
install_first() { of_npm install --global "hawser@$first"; }
install_second() { of_npm install --global "hawser@$second"; }
check_installed() { [ -L /usr/local/share/man/man1/hawser.1 ] || fail "no page"; }
check_second() { grep -q "\"version\": *\"$second\"" /usr/local/lib/node_modules/hawser/package.json || fail "the second version is not there"; }
remove_running() {
  of_npm uninstall --global hawser
  # npm runs nothing of a package's that it removes.
  echo 'what runs can only live on in silence'
}
remove_all() {
  of_npm uninstall --global hawser
  rm -rf /var/lib/hawser /run/hawser /etc/hawser
}
