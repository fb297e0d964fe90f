/** What shells need to complete hawser's commands: all of them ask `hawser __complete` for what fits. */
import { UsageError } from '../errors.js';

const BASH = `# bash completion for hawser: source <(hawser completion bash)
_hawser() {
  local IFS=$'\\n' line words current
  words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  # bash takes a = for the end of a word.
  current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  for line in $("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" 2>/dev/null); do
    case "$line" in
      :files*) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$current")) ;;
      :dirs*) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$current")) ;;
      :shell*) COMPREPLY+=($(compgen -c -- "$current")) ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done
  [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace 2>/dev/null
}
complete -F _hawser hawser
`;

const ZSH = `#compdef hawser
# zsh completion for hawser: source <(hawser completion zsh)
_hawser() {
  local -a candidates
  local line word help
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    word="\${line%%$'\\t'*}" help="\${line#*$'\\t'}"
    case "$word" in
      '') ;;
      :files) _files ;;
      :dirs) _files -/ ;;
      :shell) _command_names -e ;;
      *) candidates+=("\${word//:/\\\\:}:$help") ;;
    esac
  done
  (( \${#candidates} )) && _describe hawser candidates
}
if [ "$funcstack[1]" = _hawser ]; then _hawser "$@"; else compdef _hawser hawser; fi
`;

const FISH = `# fish completion for hawser: hawser completion fish | source
function __hawser_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    switch $line
      case ':files*'; __fish_complete_path (commandline -ct)
      case ':dirs*'; __fish_complete_directories (commandline -ct)
      case ':shell*'; __fish_complete_subcommand
      case '*'; echo $line
    end
  end
end
complete -c hawser -f -a '(__hawser_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export function completionScript(shell: string): string {
  const script = SCRIPTS[shell];
  if (script === undefined)
    throw new UsageError(
      `completion: there is none for ${JSON.stringify(shell)}; there are bash, zsh and fish`,
      'completion',
    );
  return script;
}
