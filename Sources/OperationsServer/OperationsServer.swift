// OperationsServer
