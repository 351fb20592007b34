import ArgumentParser

struct PoolList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the pools with their capacity in GiB.",
    discussion: """
      FREE is what is physically free now, PROMISED the size of all volumes there, RESERVED the percentage that stays \
      free, RATIO how far thin volumes may promise more than there is.
      """)

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let path = APIPath.blockStorage("scheduler-stats", "get_pools").adding("detail", "true")
    let pools = try await connection.client.get(path)["pools"].array.map(PoolResource.init)
    output.print(
      pools, none: "No pools: no node with storage has reported yet.",
      [
        .init("POOL"), .init("STATE"), .init("TOTAL", .right), .init("FREE", .right), .init("PROMISED", .right),
        .init("RESERVED", .right), .init("KIND"), .init("RATIO", .right), .init("PROTOCOL"),
      ]
    ) { pool in
      let thin = pool.capabilities["thin_provisioning_support"]
      let reserved = pool.capabilities["reserved_percentage"].text
      return [
        pool.name, pool.capabilities["backend_state"].text, pool.capabilities["total_capacity_gb"].text,
        pool.capabilities["free_capacity_gb"].text, pool.capabilities["provisioned_capacity_gb"].text,
        reserved.isEmpty ? "" : reserved + " %",
        thin == .null ? "" : thin.bool == true || thin.text.lowercased() == "true" ? "thin" : "thick",
        pool.capabilities["max_over_subscription_ratio"].text, pool.capabilities["storage_protocol"].text,
      ]
    }
  }
}
