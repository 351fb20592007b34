import ArgumentParser

struct QuotaSet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Change a project's quota; -1 is no limit.",
    discussion: """
      EXAMPLES
        pumice quota set team-a --volumes 50 --gigabytes 5000
        pumice quota set team-a --limit gigabytes_ssd=200 --gigabytes -1
      """)

  @Argument(help: "The project; that of --project without this.")
  var target: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("How many volumes.", valueName: "count"))
  var volumes: Int?

  @Option(parsing: .unconditional, help: ArgumentHelp("How many snapshots.", valueName: "count"))
  var snapshots: Int?

  @Option(
    parsing: .unconditional, help: ArgumentHelp("How many GiB in all, volumes and snapshots.", valueName: "GiB"))
  var gigabytes: Int?

  @Option(parsing: .unconditional, help: ArgumentHelp("How large one volume may be.", valueName: "GiB"))
  var perVolumeGigabytes: Int?

  @Option(
    name: .customLong("limit"),
    help: ArgumentHelp("Any other limit, such as volumes_ssd=10 for a type. May be repeated.", valueName: "key=value"))
  var limits: [KeyValue] = []

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    let wanted = try self.wanted
    guard !wanted.isEmpty else { throw ValidationError("Say what to change, such as --volumes 50.") }
    for (key, limit) in wanted where limit < -1 || limit > Int(Int32.max) {
      throw ValidationError("\(key) must be from -1 (no limit) to \(Int32.max), not \(limit).")
    }
  }

  func run() async throws {
    let client = connection.client
    let project = target ?? client.project
    let body = JSONValue.object(try wanted.mapValues { .integer(Int64($0)) })
    _ = try await client.put(.blockStorage("os-quota-sets", project), ["quota_set": body])
    try await client.quota(of: project).print(as: output)
  }

  private var wanted: [String: Int] {
    get throws {
      var wanted: [String: Int] = [:]
      for limit in limits {
        guard let value = Int(limit.value) else {
          throw ValidationError("\(limit.key) must be a whole number, not \"\(limit.value)\".")
        }
        wanted[limit.key] = value
      }
      wanted["volumes"] = volumes ?? wanted["volumes"]
      wanted["snapshots"] = snapshots ?? wanted["snapshots"]
      wanted["gigabytes"] = gigabytes ?? wanted["gigabytes"]
      wanted["per_volume_gigabytes"] = perVolumeGigabytes ?? wanted["per_volume_gigabytes"]
      return wanted
    }
  }
}
