import CascadeAdapt

CascadeAdapt.main()
