// Teachers
