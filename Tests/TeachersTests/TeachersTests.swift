// TeachersTests
