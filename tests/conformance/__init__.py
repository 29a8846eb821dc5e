"""The Autobahn suite against refimpl, and against its peers for comparison."""
