import PumiceModel

/// What every kind of backend lets an operator say.
protocol BackendSettings {
  var name: String { get }
  var reservedPercentage: Int { get }
  var maxOverSubscriptionRatio: Double { get }
}

extension BackendSettings {
  /// Throws `invalid`, with the key's name, for what can't work with any kind.
  func validateCommon() throws(StorageError) {
    if name.isEmpty || name.contains(where: { "@#/".contains($0) || $0.isWhitespace }) {
      throw .invalid("name", "of a backend must have no spaces, @, # or /, and not be empty; it is \"\(name)\".")
    }
    if !(0...99).contains(reservedPercentage) {
      throw .invalid("reserved_percentage", "of backend \(name) must be from 0 to 99; it is \(reservedPercentage).")
    }
    if !(maxOverSubscriptionRatio >= 1) || maxOverSubscriptionRatio.isInfinite {
      throw .invalid(
        "max_over_subscription_ratio", "of backend \(name) must be at least 1; it is \(maxOverSubscriptionRatio).")
    }
  }
}
