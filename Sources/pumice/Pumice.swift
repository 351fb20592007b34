import ArgumentParser

struct Pumice: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pumice",
    abstract: "Block storage for libvirt fleets: volumes, snapshots, attachments and the nodes behind them.",
    discussion: """
      Talks to a Pumice coordinator. Volumes, snapshots and instances are given by name or id; a name that several have \
      is an error that lists their ids.

      ENVIRONMENT
        PUMICE_URL      the coordinator, http://127.0.0.1:8776 by default
        PUMICE_TOKEN    the token to show it, where it asks for one
        PUMICE_PROJECT  the project to work in, admin by default

      OUTPUT
        Tables are for people and may change. --quiet prints ids, one per line.
        --json prints what the API answers, without its envelope, keys sorted.
        Errors are one line on stderr.

      EXIT STATUS
      \(ExitStatus.table)

      SHELL COMPLETIONS
        pumice --generate-completion-script bash > /etc/bash_completion.d/pumice
        (or zsh, or fish)

      EXAMPLES
        pumice volume create db --size 10 --wait
        pumice attach db web1 --wait
        pumice volume extend db --size 20 --wait
        pumice snapshot create db --name before-upgrade --wait
        pumice explain db
        pumice volume list --json | jq -r '.[] | select(.status == "error") | .id'
      """,
    version: "0.1.0",
    subcommands: [
      VolumeCommand.self, SnapshotCommand.self, Attach.self, Detach.self, InstanceCommand.self, NodeCommand.self,
      PoolCommand.self,
      TypeCommand.self, QuotaCommand.self, UserCommand.self, Explain.self, Doctor.self,
    ])
}
