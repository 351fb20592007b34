import PumiceModel

/// Who knows what a token is worth.
protocol TokenAuthority: Sendable {
  /// What the token stands for; `nil` for one that is unknown, at its end or revoked.
  ///
  /// - Throws: `unavailable` or `timeout` when the authority can't be asked, or doesn't let us ask.
  func token(_ text: String) async throws(StorageError) -> KeystoneToken?
}
