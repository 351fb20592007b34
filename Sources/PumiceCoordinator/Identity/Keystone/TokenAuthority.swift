import PumiceModel

/// Who knows what a token is worth.
protocol TokenAuthority: Sendable {
  /// What the token stands for; `nil` for one that is unknown, at its end or revoked.
  ///
  /// - Parameter allowsExpired: Whether to tell also of one that ended not long ago; how long is the authority's affair.
  /// - Throws: `unavailable` or `timeout` when the authority can't be asked, or doesn't let us ask.
  func token(_ text: String, allowsExpired: Bool) async throws(StorageError) -> KeystoneToken?
}
